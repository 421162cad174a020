"""``scripts/measure_human_floor.py`` on recordings whose errors are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hibari
import pytest
import soundfile

from scoring.tts.human_floor import HumanFloors
from scripts import measure_human_floor

SAID = "Did anybody see where the cat went?"
RECORDING = {"file": "said.wav", "speaker": "a", "source": "ours", "licence": "none"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recordings")
    soundfile.write(
        directory / "said.wav", hibari.Hibari(threads=1)(SAID, seed=0), hibari.SAMPLE_RATE
    )
    return directory


def measure(directory: Path, out: Path, *rows: dict[str, Any]) -> int:
    manifest = directory / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(RECORDING | row) + "\n" for row in rows), "utf-8")
    return measure_human_floor.main([str(manifest), "--out", str(out)])


def test_the_floor_counts_the_errors_on_people_by_source(directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "floors.json"
    rows = (
        {"text": SAID},
        {"text": "Did anybody see where the dog went?", "speaker": "b", "source": "theirs"},
        {"text": "Something else altogether.", "kind": "tts"},
        {"text": None},
    )

    assert measure(directory, out, *rows) == 0
    assert measure(directory, out, *rows) == 0

    (floor,) = HumanFloors.model_validate_json(out.read_bytes()).floors
    assert floor.wer == pytest.approx(1 / 14, abs=1e-4)
    assert floor.interval.low == 0.0
    assert floor.interval.high == pytest.approx(1 / 7, abs=1e-4)
    counted = {s.name: (s.clips, s.words, s.edits, s.speakers) for s in floor.sources}
    assert counted == {"ours": (1, 7, 0, 1), "theirs": (1, 7, 1, 1)}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": None}, "no human recording"),
        ({"text": SAID, "file": "nowhere.wav"}, "nowhere.wav"),
        ({"text": 5}, "manifest.jsonl:1"),
    ],
)
def test_recordings_that_cannot_be_used_are_named_and_nothing_is_written(
    row: dict[str, Any],
    said: str,
    directory: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert measure(directory, tmp_path / "floors.json", row) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "floors.json").exists()
