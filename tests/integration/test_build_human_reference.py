"""``scripts/build_human_reference.py`` as an operator runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hibari
import pytest
import soundfile

from scoring.metrics.human_reference import HumanReference, in_reference
from scripts import build_human_reference

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_human_reference.py"


def run(manifest: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(manifest), "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_statistics_are_of_the_reference_half_of_the_human_speakers(tmp_path: Path) -> None:
    speech = hibari.Hibari(threads=1)("Hello there, how are you?", seed=0)
    soundfile.write(tmp_path / "a.flac", speech, hibari.SAMPLE_RATE)
    case = {"file": "a.flac", "source": "A corpus", "licence": "CC0", "seconds": 9}
    chosen = [name for name in map(str, range(20)) if in_reference(name)][:3]
    left_out = next(name for name in map(str, range(20)) if not in_reference(name))
    lines = [{**case, "speaker": name} for name in (*chosen, left_out)]
    lines.append({**case, "speaker": chosen[0], "kind": "tts", "source": "A synthesiser"})
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)))

    done = run(manifest, tmp_path / "reference.json")
    assert done.returncode == 0, done.stderr
    reference = HumanReference.model_validate_json((tmp_path / "reference.json").read_bytes())
    (source,) = reference.sources
    assert (source.name, source.licence, source.clips) == ("A corpus", "CC0", 3)
    assert source.speakers == tuple(sorted(chosen))
    assert {"speech_share", "dnsmos_p808", "pitch_spread"} <= reference.statistics.keys()


def run_here(recordings: Path, out: Path) -> int:
    """The exit code of the program's ``main`` in this process."""
    return build_human_reference.main([str(recordings), "--out", str(out)])


def test_a_folder_of_speakers_needs_no_manifest(tmp_path: Path) -> None:
    speech = hibari.Hibari(threads=1)("Hello there, how are you?", seed=0)
    corpus = tmp_path / "corpus"
    for name in map(str, range(6)):
        (corpus / name / "chapter").mkdir(parents=True)
        soundfile.write(corpus / name / "chapter" / "a.wav", speech, hibari.SAMPLE_RATE)

    assert run_here(corpus, tmp_path / "reference.json") == 0
    reference = HumanReference.model_validate_json((tmp_path / "reference.json").read_bytes())
    (source,) = reference.sources
    chosen = {name for name in (f"corpus-{i}" for i in range(6)) if in_reference(name)}
    assert set(source.speakers) == chosen
    assert source.licence == "not stated"


def test_a_line_that_cannot_be_used_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"file": "a.flac"}\n')
    assert run_here(manifest, tmp_path / "reference.json") == 2
    assert f"{manifest}:1:" in capsys.readouterr().err
    assert not (tmp_path / "reference.json").exists()
