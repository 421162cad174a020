"""The auto-updater with a stand-in for the validator: versions that come up, and others."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
# As the validator: it is well when it has read the chain, and waits for it without ending.
READING = (
    """\
import sys, time
from utilities.chain_probe import ChainProbe
probe = ChainProbe(sys.argv[sys.argv.index("--subtensor.chain_endpoint") + 1])
while not probe.answers():
    time.sleep(0.2)
"""
    + HEALTHY
)
SILENT = "import time\ntime.sleep(600)  # version {version}\n"


@dataclass
class House(UpdaterHome):
    """One whose validator is a stand-in, on the chain at the address ``chain``."""

    chain: str = ""

    def publish(self, template: str, version: int) -> str:
        (self.author / "neurons" / "validator.py").write_text(template.format(version=version))
        return self.commit(f"Version {version}")

    def start(self, *flags: str) -> None:
        script = ["--interpreter", "python", "scripts/start_validator.py", "--"]
        own = ["--pm2_name", "sn231-vali", "--interval", "0.5", "--health_timeout", "20"]
        validators = ["--subtensor.chain_endpoint", self.chain]
        validators += ["--wallet.name", "cold", "--wallet.hotkey", "hot"]
        self.run("pm2", "start", "--name", "sn231-vali-updater", *script, *own, *flags, *validators)

    def processes(self) -> list[dict[str, Any]]:
        listed = self.run("pm2", "jlist")
        found: list[dict[str, Any]] = json.loads(listed[listed.index("[{") :])
        return found

    def process(self, name: str) -> dict[str, Any]:
        return next(p for p in self.processes() if p["name"] == name)

    def started_at(self, name: str) -> int:
        """When PM2 last started a process; 0 where it has none, as between two versions."""
        starts = (p["pm2_env"]["pm_uptime"] for p in self.processes() if p["name"] == name)
        return max(starts, default=0)

    def keep_reports(self) -> None:
        """Let the next version have a program that keeps what it is to report."""
        program = "import sys; open('var/reports', 'a').write(sys.stdin.read() + chr(10))\n"
        (self.author / "scripts" / "report_rollback.py").write_text(program)
        self.commit("Keep reports")
        self.run("git", "pull", "-q")

    def reports(self) -> list[dict[str, Any]]:
        """What was reported since."""
        kept = self.clone / "var/reports"
        return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []

    def wait_for_version(self, version: int) -> None:
        wait_until(lambda: self.health().get("version") == version, SECONDS, f"version {version}")

    def wait_for_end_of_trial(self) -> None:
        wait_until(lambda: self.state().get("trial") is None, SECONDS, "the end of the trial")


@contextmanager
def furnished(tmp_path: Path, pm2_bin: Path) -> Iterator[House]:
    """A house whose first version is healthy; its PM2 is killed at the end."""
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
