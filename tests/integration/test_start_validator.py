"""The auto-updater as its user starts it: real PM2, real git, versions that come up and others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from demo_services import wait_until
from updater_home import GIT_NAMES, UpdaterHome

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0

# A version of the validator, as small as one can be: it says which it is and that it is well.
HEALTHY = """\
import json, os, sys, time
from pathlib import Path
health = Path("var/validator/health.json")
health.parent.mkdir(parents=True, exist_ok=True)
health.write_text(json.dumps({{"version": {version}, "flags": sys.argv[1:], "pid": os.getpid()}}))
while True:
    time.sleep(60)
"""
CRASHING = "raise SystemExit('version {version} cannot start')\n"
SILENT = "import time\ntime.sleep(600)  # version {version}\n"


@dataclass
class House(UpdaterHome):
    """One whose validator is a stand-in."""

    def publish(self, template: str, version: int) -> str:
        (self.author / "neurons" / "validator.py").write_text(template.format(version=version))
        return self.commit(f"Version {version}")

    def start(self, *flags: str) -> None:
        script = ["--interpreter", "python", "scripts/start_validator.py", "--"]
        own = ["--pm2_name", "sn231-vali", "--interval", "0.5", "--health_timeout", "20"]
        wallet = ["--wallet.name", "cold", "--wallet.hotkey", "hot"]
        self.run("pm2", "start", "--name", "sn231-vali-updater", *script, *own, *flags, *wallet)

    def process(self, name: str) -> dict[str, Any]:
        listed = self.run("pm2", "jlist")
        processes = json.loads(listed[listed.index("[{") :])
        found: dict[str, Any] = next(p for p in processes if p["name"] == name)
        return found

    def wait_for_version(self, version: int) -> None:
        wait_until(lambda: self.health().get("version") == version, SECONDS, f"version {version}")

    def wait_for_end_of_trial(self) -> None:
        wait_until(lambda: self.state().get("trial") is None, SECONDS, "the end of the trial")


@pytest.fixture
def house(tmp_path: Path, pm2_bin: Path) -> Iterator[House]:
    author, clone = tmp_path / "author", tmp_path / "clone"
    for name in ("scripts", "neurons"):
        (author / name).mkdir(parents=True)
    for path in [ROOT / "scripts/start_validator.py", *(ROOT / "scripts").glob("updater_*.py")]:
        shutil.copy(path, author / "scripts")
    (author / ".gitignore").write_text("var/\n__pycache__/\n")
    (author / "README").write_text("a\nb\nc\n")
    path = os.pathsep.join([str(pm2_bin), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": path,
        "PM2_HOME": str(tmp_path / "pm2"),
        "PYTHONPATH": str(ROOT),
        **GIT_NAMES,
    }
    made = House(author, clone, environment)
    validator = author / "neurons" / "validator.py"
    validator.write_text(HEALTHY.format(version=1))
    made.begin()
    try:
        yield made
    finally:
        made.run("pm2", "kill", where=tmp_path)


@pytest.mark.slow
def test_good_versions_are_installed_and_bad_ones_rolled_back_once(house: House) -> None:
    house.start()
    house.wait_for_version(1)
    assert house.health()["flags"] == ["--wallet.name", "cold", "--wallet.hotkey", "hot"]

    (house.clone / "README").write_text("a\nb\nmine\n")
    good = house.publish(HEALTHY, 2)
    house.wait_for_version(2)
    house.wait_for_end_of_trial()
    assert house.head() == good
    assert (house.clone / "README").read_text() == "a\nb\nmine\n"

    pid = house.health()["pid"]
    bad = house.publish(CRASHING, 3)
    wait_until(lambda: bad in house.state().get("bad", {}), SECONDS, "the rollback")
    wait_until(lambda: house.health().get("pid", pid) != pid, SECONDS, "version 2 again")
    assert house.head() == good
    assert "ended" in house.state()["bad"][bad]
    # Nobody is there to report it to.
    wait_until(lambda: "the rollback is not reported" in house.log, SECONDS, "the report")
    assert (house.clone / "README").read_text() == "a\nb\nmine\n"

    # No loop: several looks later the bad version was not tried again.
    pid = house.health()["pid"]
    fetched = house.clone / ".git/FETCH_HEAD"
    for _ in range(3):
        last = fetched.stat().st_mtime_ns
        wait_until(lambda last=last: fetched.stat().st_mtime_ns > last, SECONDS, "another look")
    assert house.health()["pid"] == pid
    assert house.head() == good

    better = house.publish(HEALTHY, 4)
    house.wait_for_version(4)
    house.wait_for_end_of_trial()
    assert house.head() == better

    house.run("pm2", "stop", "sn231-vali-updater")
    assert house.process("sn231-vali")["pm2_env"]["status"] == "online"


@pytest.mark.slow
def test_an_updater_killed_in_the_middle_of_a_trial_ends_the_trial_at_its_next_start(
    house: House,
) -> None:
    house.start()
    house.wait_for_version(1)
    before, silent = house.head(), house.publish(SILENT, 2)
    wait_until(lambda: house.head() == silent, SECONDS, "the silent version")
    wait_until(
        lambda: (
            house.process("sn231-vali")["pm2_env"]["pm_uptime"]
            > house.process("sn231-vali-updater")["pm2_env"]["pm_uptime"]
        ),
        SECONDS,
        "the start of the silent version",
    )
    # PM2 starts the updater anew.
    os.kill(house.process("sn231-vali-updater")["pid"], signal.SIGKILL)
    wait_until(lambda: silent in house.state().get("bad", {}), SECONDS, "the rollback")
    assert "no healthy pass" in house.state()["bad"][silent]
    house.wait_for_version(1)
    assert house.head() == before


@pytest.mark.slow
def test_a_new_updater_takes_over_and_a_broken_one_does_not(house: House) -> None:
    house.start()
    house.wait_for_version(1)
    pid = house.process("sn231-vali-updater")["pid"]
    script = house.author / "scripts/start_validator.py"
    script.write_text(script.read_text() + "\n# The next release of the updater.\n")
    house.publish(HEALTHY, 2)
    told = "going on as the updater of the new version"
    wait_until(lambda: told in house.log, SECONDS, "the new updater")
    script.write_text("raise SystemExit(1)\n")
    house.publish(HEALTHY, 3)
    wait_until(lambda: "going on with this one" in house.log, SECONDS, "the refusal")
    house.publish(HEALTHY, 4)
    house.wait_for_version(4)
    updater = house.process("sn231-vali-updater")
    assert (updater["pid"], updater["pm2_env"]["restart_time"]) == (pid, 0)
