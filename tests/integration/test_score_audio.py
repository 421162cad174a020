"""``scripts/score_audio.py`` as its user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import hibari
import numpy as np
import pytest
import soundfile

from scripts import score_audio

ROOT = Path(__file__).parents[2]
TEXT = "Did anybody see where the cat went?"
RATE = hibari.SAMPLE_RATE


def command(cases: Path, out: Path, *options: str) -> list[str]:
    script = str(ROOT / "scripts" / "score_audio.py")
    return [sys.executable, script, str(cases), "--out", str(out), *options]


def run(cases: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The finished program."""
    return subprocess.run(
        command(cases, out, *options), capture_output=True, text=True, check=False, timeout=120
    )


def run_here(cases: Path, out: Path, *options: str) -> int:
    """The exit code of the program's ``main`` in this process: each start imports for seconds."""
    try:
        return score_audio.main([str(cases), "--out", str(out), *options])
    except SystemExit as usage:
        assert isinstance(usage.code, int)
        return usage.code


def words(text: str) -> str:
    """Without the line breaks of the terminal."""
    return " ".join(text.split())


def write_cases(path: Path, *cases: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(case) + "\n" for case in cases), "utf-8")
    return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings good and bad."""
    directory = tmp_path_factory.mktemp("recordings")
    speech = hibari.Hibari(threads=1)(TEXT, seed=0)
    noise = np.random.default_rng(0).standard_normal(len(speech))
    recordings = {
        "speech": speech,
        "stereo": np.stack([speech, speech], axis=1),
        "noisy": speech + noise * np.std(speech) * 10 ** (-5 / 20),
        "noise": 0.1 * noise,
        "silence": np.zeros(RATE),
        "offset": np.full(RATE, 0.5),
        "blip": speech[: RATE // 5],
        "nan": np.full(RATE, np.nan),
        "long": np.zeros(600 * RATE // 3),
    }
    for name, samples in recordings.items():
        rate = RATE // 3 if name == "long" else RATE
        subtype = "FLOAT" if name == "nan" else "PCM_16"
        soundfile.write(directory / f"{name}.wav", samples, rate, subtype=subtype)
    (directory / "empty.wav").touch()
    (directory / "text.wav").write_text("this is no audio")
    return directory


@pytest.fixture(scope="module")
def rows(directory: Path) -> dict[str, dict[str, Any]]:
    cases = [
        {"audio": "speech.wav", "text": TEXT, "speaker": "hibari", "nested": {"a": [1, "é\ud800"]}},
        {"audio": "noisy.wav", "text": TEXT},
        {"audio": "noise.wav", "text": TEXT},
        {"audio": "stereo.wav", "text": None},
        *({"audio": f"{name}.wav", "text": TEXT} for name in REASONS),
    ]
    out = directory / "new" / "scores.jsonl"
    done = run(write_cases(directory / "cases.jsonl", *cases), out)
    assert done.returncode == 0, done.stderr
    assert f"4 scored, {len(REASONS)} rejected" in done.stdout
    written = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["audio"] for row in written] == [case["audio"] for case in cases]
    assert [path.name for path in out.parent.iterdir()] == ["scores.jsonl"]
    return {Path(row["audio"]).stem: row for row in written}


REASONS = {
    "silence": "silent",
    "offset": "silent",
    "blip": "less than 0.3 s",
    "nan": "NaN",
    "long": "longer than 120 s",
    "empty": "is empty",
    "text": "cannot be read as audio",
    "missing": "no audio file",
}


def test_good_speech_scores_high_and_says_why(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["speech"]
    assert row["wer"] == 0.0
    assert row["human_likeness"] > 0.85
    assert row["score"] == pytest.approx(row["human_likeness"])
    assert {"gate", "naturalness"} <= row["components"].keys()
    assert row["rejected"] is None


def test_fields_of_the_case_are_kept(rows: dict[str, dict[str, Any]]) -> None:
    assert rows["speech"]["speaker"] == "hibari"
    assert rows["speech"]["nested"] == {"a": [1, "é\ud800"]}


def test_noise_on_the_speech_lowers_the_score_and_noise_alone_has_none(
    rows: dict[str, dict[str, Any]],
) -> None:
    assert rows["noisy"]["score"] < 0.7 * rows["speech"]["score"]
    assert rows["noise"]["score"] < 0.01


def test_the_transcript_of_another_recording_costs_the_score(
    directory: Path, rows: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    other = "My sister keeps three old clocks in the kitchen."
    soundfile.write(tmp_path / "other.wav", hibari.Hibari(threads=1)(other, seed=0), RATE)
    speech = str(directory / "speech.wav")
    swapped = [{"audio": speech, "text": other}, {"audio": "other.wav", "text": TEXT}]
    out = tmp_path / "scores.jsonl"

    assert run_here(write_cases(tmp_path / "cases.jsonl", *swapped), out) == 0
    first, second = (json.loads(line) for line in out.read_text("utf-8").splitlines())

    assert first["human_likeness"] == rows["speech"]["human_likeness"] > 0.5
    assert first["score"] < 0.2 < rows["speech"]["score"]
    assert second["score"] < 0.2


def test_without_a_text_only_likeness_is_judged(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["stereo"]
    assert row["human_likeness"] == pytest.approx(rows["speech"]["human_likeness"], abs=1e-3)
    assert row["wer"] is None
    assert row["score"] is None


@pytest.mark.parametrize(("name", "reason"), REASONS.items())
def test_audio_that_cannot_be_scored_is_rejected_with_its_reason(
    rows: dict[str, dict[str, Any]], name: str, reason: str
) -> None:
    row = rows[name]
    assert reason in row["rejected"]
    for field in ("wer", "human_likeness", "score", "components"):
        assert row[field] is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"audio": "speech.wav"', "not JSON"),
        ('{"text": "no audio"}', "audio: Field required"),
        ('{"audio": 3}', "audio: Input should be a valid string"),
        ('{"audio": "speech.wav", "gain": NaN}', "not JSON: NaN is not a JSON number"),
        ('["speech.wav"]', "the line: Input should be"),
    ],
)
def test_a_malformed_line_is_named_and_nothing_is_written(
    directory: Path, tmp_path: Path, line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"audio": "speech.wav", "text": null}\n\n' + line + "\n")
    assert run_here(cases, tmp_path / "scores.jsonl") == 2
    assert f"{cases}:3: {problem}" in words(capsys.readouterr().err)
    assert not (tmp_path / "scores.jsonl").exists()


def test_no_file_no_cases_and_no_text_are_errors_of_the_caller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.jsonl"
    empty, binary = tmp_path / "empty.jsonl", tmp_path / "binary.jsonl"
    empty.touch()
    binary.write_bytes(b"\xff\xfe\x00")
    for cases, problem in ((tmp_path / "none.jsonl", "No such file"), (empty, "has no cases")):
        assert run_here(cases, out) == 2
        assert problem in words(capsys.readouterr().err)
    assert run_here(binary, out) == 2


def test_an_unknown_recogniser_is_an_error_of_the_caller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = write_cases(tmp_path / "cases.jsonl", {"audio": "a.wav", "text": None})
    assert run_here(cases, tmp_path / "scores.jsonl", "--asr", "whisper-9000") == 2
    told = words(capsys.readouterr().err)
    assert "'whisper-9000' is neither a directory nor a Whisper size" in told
    assert run_here(cases, tmp_path / "scores.jsonl", "--device", "tpu") == 2


def test_the_help_teaches_by_example(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, tmp_path, "--help"), capture_output=True, text=True, check=True
    )
    assert '{"audio": "clips/hello.wav", "text": "Hello there, how are you?"}' in done.stdout
    assert "Exit codes:" in done.stdout


def test_an_interrupt_leaves_no_file(directory: Path, tmp_path: Path) -> None:
    many = [{"audio": str(directory / "speech.wav"), "text": TEXT}] * 500
    cases = write_cases(tmp_path / "cases.jsonl", *many)
    out = tmp_path / "out" / "scores.jsonl"
    # In colour rich draws the bar while work goes on; its first line shows that it has begun.
    with subprocess.Popen(
        command(cases, out),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "FORCE_COLOR": "1"},
    ) as process:
        assert process.stderr is not None
        while b"scoring" not in (seen := process.stderr.read1()):
            assert seen, "the program ended before it began to score"
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert not out.parent.exists()
