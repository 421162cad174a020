"""Starting and stopping the API as its operator does, and losing its embedded Postgres."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from sys import stdlib_module_names

import httpx2
import pytest
from service_helpers import wait_until
from service_processes import (
    ADMIN_KEY,
    MODULE,
    REPOSITORY_ROOT,
    failed_start,
    running_api,
)

HUB = {"HF_ENDPOINT": "http://127.0.0.1:9"}
PASSWORD = "do-not-print-me"


def processes_below(directory: Path) -> list[Path]:
    """The processes that work in ``directory`` or below it."""
    return [entry for entry in Path("/proc").glob("[0-9]*") if works_below(entry, directory)]


def works_below(process: Path, directory: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(directory)
    except OSError:  # It has ended meanwhile.
        return False


@pytest.fixture
def var_dir() -> Iterator[Path]:
    """A directory that the account of the embedded Postgres can enter."""
    place = Path(tempfile.mkdtemp(prefix="speech-test-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_the_embedded_postgres_is_started_revived_when_killed_and_stopped(
    var_dir: Path, tmp_path: Path
) -> None:
    environment = {**HUB, "POSTGRES_URL": "", "VAR_DIR": str(var_dir), "ADMIN_KEY": ADMIN_KEY}
    with running_api(environment, tmp_path / "api.log", program=MODULE) as api:
        miner = {"uid": 1, "hotkey": "someone"}
        admin = {"admin-key": ADMIN_KEY}
        api.client.post("/minerboard_update", json=miner, headers=admin).raise_for_status()

        data = var_dir / "postgres" / "data"
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        wait_until(lambda: api.client.get("/hc").status_code == 503)
        refused = api.client.get("/minerboard")
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        wait_until(lambda: api.client.get("/hc").status_code == 200, 30)
        assert [row["uid"] for row in api.client.get("/minerboard").json()] == [1]
        wait_until(lambda: "the embedded Postgres answers again" in api.log)

        assert api.stop(signal.SIGTERM) == 0
        assert api.log.rstrip().endswith("stopped")
        assert "Traceback" not in api.log
    assert processes_below(var_dir) == []


def test_without_an_admin_key_nobody_submits_and_the_setting_is_named(
    dsn: str, tmp_path: Path
) -> None:
    environment = {**HUB, "POSTGRES_URL": dsn, "VAR_DIR": str(tmp_path), "ADMIN_KEY": ""}
    with running_api(environment, tmp_path / "api.log") as api:
        assert "ADMIN_KEY is unset" in api.log
        for given in ({}, {"admin-key": ""}, {"admin-key": "admin_key"}):
            answer = api.client.post("/minerboard_update", json={}, headers=given)
            assert answer.status_code == 403
            error = answer.json()["error"]
            assert error["code"] == "ADMIN_KEY_NOT_CONFIGURED"
            assert "ADMIN_KEY" in error["remedy"]
        assert api.stop(signal.SIGINT) == 0
        assert "Traceback" not in api.log


def test_an_occupied_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, output = failed_start(HUB, tmp_path / "log", "--main-api-port", port)
    assert code == 2
    assert re.search(rf"port {port} on 127\.0\.0\.1 is taken.*choose another port", output)
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"postgresql://me:{PASSWORD}@127.0.0.1:9/speech", "Connection refused"),
        (f"postgresql://me:{PASSWORD}@127.0.0.1:port/speech", "invalid integer"),
        (f"//{PASSWORD}", "malformed"),
    ],
)
def test_a_postgres_that_cannot_be_used_is_told_without_the_password(
    url: str, says: str, tmp_path: Path
) -> None:
    environment = {**HUB, "POSTGRES_URL": url, "POSTGRES_WAIT_SECONDS": "0"}
    code, output = failed_start(environment, tmp_path / "log")
    assert code == 3
    assert says in output
    assert "POSTGRES_URL" in output
    assert PASSWORD not in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MAIN_API_PORT", "many"), ("LOG_LEVEL", "loud"), ("MAIN_API_PORT", "-1")],
)
def test_a_wrong_setting_is_named(variable: str, value: str, tmp_path: Path) -> None:
    environment = {**HUB, variable: value}
    code, output = failed_start(environment, tmp_path / "log", "--host", "127.0.0.1")
    assert code == 2
    assert variable in output
    assert "Traceback" not in output


def test_a_flag_overrides_the_environment(dsn: str, tmp_path: Path) -> None:
    environment = {**HUB, "POSTGRES_URL": dsn, "VAR_DIR": str(tmp_path), "MAIN_API_PORT": "1"}
    with running_api(environment, tmp_path / "api.log") as api:
        assert api.client.base_url.port not in {None, 1}
        assert httpx2.get(f"{api.client.base_url}/hc").status_code == 200


def test_no_module_of_the_service_hides_one_that_a_script_imports() -> None:
    # Run as a script, a program finds the modules beside it before all others.
    siblings = {path.stem for path in (REPOSITORY_ROOT / "voice_validation_api").iterdir()} - {
        "__init__",
        "__pycache__",
    }
    assert not siblings & stdlib_module_names
    assert not siblings & packages_distributions().keys()
