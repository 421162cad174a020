"""The auto-updater keeps the real validator: installed as documented, from a repository that moves
on, under real PM2, against a chain and the API."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from demo_services import DemoError, wait_until
from devnet_helpers import running_devnet
from service_helpers import run_sql
from service_processes import running_api
from updater_home import GIT_NAMES, UpdaterHome
from validator_bench import SERVICE_HOTKEY

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120.0


@dataclass
class Home(UpdaterHome):
    """One with an environment of its own, where the validator is installed as documented."""

    def publish(self, path: str, old: str, new: str) -> str:
        """A commit of the author's that replaces a text in a file."""
        file = self.author / path
        content = file.read_text()
        assert old in content
        file.write_text(content.replace(old, new, 1))
        return self.commit(f"Change {path}")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            wait_until(condition, SECONDS, what)
        except DemoError as error:
            logs = Path(self.environment["PM2_HOME"], "logs").glob("*.log")
            told = "\n".join(log.read_text()[-3_000:] for log in logs)
            raise AssertionError(f"{error}\n{told}") from error

    def pass_of_another(self, than: int | None) -> dict[str, Any]:
        """The health file of a validator that is not process ``than``."""
        self.wait(lambda: self.health().get("pid", than) != than, "a healthy pass")
        return self.health()


@pytest.fixture
def home(tmp_path: Path, pm2_bin: Path) -> Iterator[Home]:
    author, clone, python = tmp_path / "author", tmp_path / "clone", tmp_path / "env" / "bin"
    environment = {
        **os.environ,
        **GIT_NAMES,
        "HOME": str(tmp_path / "home"),
        "PM2_HOME": str(tmp_path / "pm2"),
        "PATH": os.pathsep.join([str(python), str(pm2_bin), os.environ["PATH"]]),
    }
    made = Home(author, clone, environment)
    (tmp_path / "home").mkdir()
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, made.run(*listed, where=ROOT).split("\0")):
        with suppress(FileNotFoundError):
            (author / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, author / name)
    made.begin()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    install = ["python", "-m", "pip", "install", "-q", "-r", "requirements.validator.txt"]
    made.run(*install, "-e", ".")
    try:
        yield made
    finally:
        made.run("pm2", "kill", where=tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_real_validator_is_updated_with_what_it_needs_and_a_broken_one_is_reported(
    home: Home, dsn: str, tmp_path: Path
) -> None:
    api_settings = {
        "POSTGRES_URL": dsn,
        "VAR_DIR": str(tmp_path / "api"),
        "API_HOTKEY": SERVICE_HOTKEY,
        "API_DATABASE_CONNECTIONS": "2",
    }
    wallets = tmp_path / "home" / ".bittensor" / "wallets"
    with (
        running_devnet(tmp_path / "devnet", "--tempo", "5") as devnet,
        running_api(api_settings, tmp_path / "api.log") as api,
    ):
        wallet = devnet.member(wallets, "coldkey4", stake=1_000.0)
        home.environment["VALIDATION_API_URL"] = str(api.client.base_url).rstrip("/")
        documented = (
            "pm2 start --name sn231-vali-updater --interpreter python scripts/start_validator.py "
            "-- --pm2_name sn231-vali --wallet.name coldkey4 --wallet.hotkey default"
        )
        flags = ["--subtensor.chain_endpoint", devnet.url, "--netuid", "231", "--interval", "1"]
        home.run(*documented.split(), *flags)
        first = home.pass_of_another(than=None)
        assert first["outcome"] == "nothing"

        version = f'version = "{first["version"]}"'
        good = home.publish("pyproject.toml", version, 'version = "1000.0"')
        second = home.pass_of_another(than=first["pid"])
        # That of the installed package: what it needs was installed.
        assert second["version"] == "1000.0"
        home.wait(lambda: home.state().get("trial") is None, "its trial")
        assert home.head() == good

        bad = home.publish("neurons/validator_pass.py", "class Validator:", "class Broken:")
        home.wait(lambda: bool(rollbacks(dsn)), "the report of the rollback")
        [(told, hotkey, signed)] = rollbacks(dsn)
        assert (hotkey, signed) == (wallet.hotkey.ss58_address, True)
        assert (told["failed"], told["back_to"]) == (bad, good)
        assert "ended" in told["reason"]
        assert told["back_to_failure"] is None
        assert home.head() == good
        third = home.pass_of_another(than=second["pid"])
        assert third["version"] == "1000.0"


def rollbacks(dsn: str) -> list[tuple[dict[str, Any], str | None, bool]]:
    """What the API was told of versions that were rolled back: payload, hotkey, whether signed."""
    rows = run_sql(
        dsn,
        "SELECT payload -> 'payload', hotkey, signed FROM event_reports "
        "WHERE payload -> 'payload' ->> 'event' = 'VERSION_ROLLED_BACK' ORDER BY id",
    )
    return [(row[0], row[1], row[2]) for row in rows]
