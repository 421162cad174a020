"""Which launcher a name means where no Docker engine answers; tests/docker has one that does."""

from __future__ import annotations

from pathlib import Path

import pytest

from voice_validation_api.launchers.base import LauncherUnavailableError
from voice_validation_api.launchers.choose import choose_launcher
from voice_validation_api.launchers.process import ProcessLauncher


@pytest.fixture(autouse=True)
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


def test_auto_falls_back_to_processes_and_says_what_that_means(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert isinstance(choose_launcher("auto"), ProcessLauncher)
    assert "NOT ISOLATED" in caplog.text
    assert "no Docker engine answers" in caplog.text


def test_docker_is_refused_and_says_what_to_start() -> None:
    with pytest.raises(LauncherUnavailableError, match=r"/var/run/docker\.sock"):
        choose_launcher("docker")


def test_process_asks_no_engine(caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(choose_launcher("process"), ProcessLauncher)
    assert caplog.text == ""
