"""The rehearsal hub as a program: starting, stopping, its state and its help."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hub_helpers import REPOSITORY_ROOT, parler_files, running_hub, start_hub


def test_repositories_survive_a_restart(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        revision = hub.publish("kept", {"a.txt": b"1"})
        assert hub.stop() == 0
    with running_hub(tmp_path) as hub:
        assert hub.api(None).model_info("alice/kept").sha == revision


def test_an_occupied_port_ends_with_a_clear_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "is taken by another program" in _refusal(tmp_path, taken.getsockname()[1])


def test_two_hubs_do_not_share_a_directory(tmp_path: Path) -> None:
    with running_hub(tmp_path):
        assert "another hub keeps its state" in _refusal(tmp_path, 0)


def test_a_killed_hub_keeps_what_was_committed(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        revision = hub.publish("kept", parler_files())
        (tmp_path / "incoming" / "half").write_bytes(b"what an upload left behind")
        hub.process.kill()
        hub.process.wait()
    with running_hub(tmp_path) as hub:
        assert hub.api(None).model_info("alice/kept").sha == revision
        assert hub.api(None).get_safetensors_metadata("alice/kept").parameter_count == {"F32": 16}
    assert not list((tmp_path / "incoming").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_it_cleanly_from_the_moment_it_names_its_address(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_hub(tmp_path) as hub:
        hub.process.send_signal(number)
        _, errors = hub.process.communicate(timeout=30)
    assert (hub.process.returncode, errors) == (0, "")


def test_an_impossible_port_is_refused(tmp_path: Path) -> None:
    assert "65536 is not a port" in _refusal(tmp_path, 65_536)


def test_the_commands_that_help_teaches_work(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/devhub.py", "--help"],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "HF_ENDPOINT=http://127.0.0.1:8900 HF_HUB_DISABLE_XET=1 HF_TOKEN=hf_alice" in done.stdout
    (tmp_path / "my-finetune").mkdir()
    (tmp_path / "my-finetune" / "config.json").write_text("{}")
    commands = [line for line in map(str.strip, done.stdout.splitlines()) if line[:3] == "hf "]
    assert [command.split()[1] for command in commands] == ["upload", "download"]
    with running_hub(tmp_path / "hub") as hub:
        settings = {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": "hf_alice",
            "HF_HOME": str(tmp_path / "cache"),
        }
        for command in commands:
            program, *arguments = shlex.split(command)
            subprocess.run(
                [Path(sys.executable).with_name(program), *arguments],
                cwd=tmp_path,
                env={**os.environ, **settings},
                timeout=60,
                check=True,
            )
    assert list((tmp_path / "cache").rglob("snapshots/*/config.json"))


def _refusal(root: Path, port: int) -> str:
    """What a hub that cannot start says."""
    process = start_hub(root, port)
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 2
    return errors
