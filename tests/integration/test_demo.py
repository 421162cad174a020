"""The demo as a newcomer runs it: to its end, again, and interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
DEMO = (sys.executable, str(ROOT / "scripts" / "demo.py"), "--num_prompts", "1")
VOICES = {"hibari", "hibari-noise", "hibari-wrong-text"}

pytestmark = pytest.mark.slow


def processes_in(directory: Path) -> list[str]:
    """Command lines of all processes that work in, or were told of, a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            inside = (entry / "cwd").readlink().is_relative_to(directory)
        except OSError:
            continue
        if inside or str(directory) in command:
            found.append(command)
    return found


def test_the_demo_leaves_a_leaderboard_and_audio_and_nothing_running(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_URL=postgresql://nobody@127.0.0.1:9/real\n")

    done = subprocess.run(
        DEMO, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=280
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "random weights" in done.stdout and "tie" in done.stdout
    assert processes_in(tmp_path) == []
    board = json.loads((tmp_path / "var/demo/leaderboard.json").read_text())
    assert {row["repo"] for row in board["rows"]} == {
        "alice/mini-parler-a",
        "bob/mini-parler-b",
        "charlie/mini-parler-c",
    }
    assert {row["name"] for row in board["calibration"]} == VOICES
    for row in [*board["rows"], *board["calibration"]]:
        assert row["status"] == "COMPLETED"
        assert row["interval"]["low"] <= row["score"] <= row["interval"]["high"]
        assert row["wer"] >= 0 and 0 <= row["human_likeness"] <= 1
    assert all(row["id"] and row["hotkey"] for row in board["rows"])
    scores = {row["name"]: row["score"] for row in board["calibration"]}
    assert scores["hibari"] > scores["hibari-noise"] > scores["hibari-wrong-text"]
    for name in [*VOICES, "mini-parler-a", "mini-parler-b", "mini-parler-c"]:
        clips = list((tmp_path / "var/demo/audio" / name).glob("*.wav"))
        assert clips and all(soundfile.info(clip).frames > 0 for clip in clips)


def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path) -> None:
    with subprocess.Popen(DEMO, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                if "charlie published" in line:
                    break
            assert len(processes_in(tmp_path)) > 3
            demo.send_signal(signal.SIGINT)
            assert demo.wait(timeout=60) == 130
        finally:
            demo.kill()
    deadline = time.monotonic() + 10
    while (left := processes_in(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
