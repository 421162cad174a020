"""The demo as a newcomer runs it: to its end, interrupted, and with a part that breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
DEMO = (sys.executable, str(ROOT / "scripts" / "demo.py"), "--num_prompts", "1")
VOICES = {"hibari", "hibari-noise", "hibari-wrong-text"}
# In the order in which they commit.
MODELS = ["alice/mini-parler-a", "bob/mini-parler-b", "charlie/mini-parler-c"]
PROGRAMS = ["api", "devnet", "hub", "model_queue", "round_keeper", "validator", "worker"]

pytestmark = pytest.mark.slow


def processes_in(directory: Path) -> dict[int, str]:
    """Command lines, by number, of all processes that work in, or were told of, a directory."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            inside = (entry / "cwd").readlink().is_relative_to(directory)
        except OSError:
            continue
        if inside or str(directory) in command:
            found[int(entry.name)] = command
    return found


def assert_nothing_is_left_in(directory: Path) -> None:
    deadline = time.monotonic() + 10
    while (left := processes_in(directory)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == {}


@contextmanager
def demo_after(line: str, where: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has shown ``line``."""
    with subprocess.Popen(DEMO, cwd=where, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            assert any(line in shown for shown in demo.stdout)
            yield demo
        finally:
            demo.kill()


@pytest.mark.timeout(600)
def test_the_demo_leaves_weights_a_leaderboard_and_audio_and_nothing_running(
    tmp_path: Path,
) -> None:
    # What its user has set up for real is not touched.
    (tmp_path / ".env").write_text("POSTGRES_URL=postgresql://nobody@127.0.0.1:9/real\n")
    real = {"HOME": str(tmp_path / "home"), "NEURON_NETUID": "9", "KEEPER_ENDPOINT": "finney"}

    done = subprocess.run(
        DEMO,
        check=False,
        cwd=tmp_path,
        env={**os.environ, **real},
        capture_output=True,
        text=True,
        timeout=540,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "random weights" in done.stdout and "tie" in done.stdout
    assert processes_in(tmp_path) == {}
    assert not (tmp_path / "home").exists()
    board = json.loads((tmp_path / "var/demo/leaderboard.json").read_text())
    assert board["round"] == 1
    assert {row["name"] for row in board["calibration"]} == VOICES
    for row in [*board["rows"], *board["calibration"]]:
        assert row["status"] == "COMPLETED"
        assert row["interval"]["low"] <= row["score"] <= row["interval"]["high"]
        assert row["wer"] >= 0 and 0 <= row["human_likeness"] <= 1
    assert all(row["id"] and row["hotkey"] for row in board["rows"])
    scores = {row["name"]: row["score"] for row in board["calibration"]}
    assert scores["hibari"] > scores["hibari-noise"] > scores["hibari-wrong-text"]
    for name in [*VOICES, *(model.split("/")[1] for model in MODELS)]:
        clips = list((tmp_path / "var/demo/audio" / name).glob("*.wav"))
        assert clips and all(soundfile.info(clip).frames > 0 for clip in clips)
    for program in [*PROGRAMS, *(f"miner-{model.split('/')[0]}" for model in MODELS)]:
        assert (tmp_path / f"var/demo/logs/{program}.log").exists()

    # They all babble, so whoever committed earlier wins.
    rows = {row["repo"]: row for row in board["rows"]}
    assert sorted(rows, key=lambda repo: -rows[repo]["win_rate"]) == MODELS
    assert sorted(rows, key=lambda repo: -rows[repo]["weight"]) == MODELS
    assert sum(row["weight"] for row in board["rows"]) == pytest.approx(1)
    [state] = (tmp_path / "var/demo/state/validator").glob("state-*.json")
    computed = json.loads(state.read_text())["weights"]["by_hotkey"]
    for row in board["rows"]:
        assert row["weight"] == pytest.approx(computed[row["hotkey"]], abs=1e-4)


def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path) -> None:
    with demo_after("bob published", tmp_path) as demo:
        assert len(processes_in(tmp_path)) > 4
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=60) == 130
    assert_nothing_is_left_in(tmp_path)


def test_a_program_that_breaks_ends_the_demo_with_the_reason(tmp_path: Path) -> None:
    with demo_after("alice published", tmp_path) as demo:
        [hub] = [n for n, command in processes_in(tmp_path).items() if "devhub.py" in command]
        os.kill(hub, signal.SIGKILL)
        assert demo.wait(timeout=60) == 1
        assert demo.stdout is not None
        told = demo.stdout.read()
    assert "error: " in told
    assert "miner-bob failed with exit code 3" in told or "hub ended with exit code -9" in told
    assert "var/demo/logs" in told
    assert_nothing_is_left_in(tmp_path)
