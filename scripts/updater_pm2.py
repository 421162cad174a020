"""The validator's process under PM2, as the auto-updater sees it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utilities.errors import SubnetError

PM2_SECONDS = 120.0
# What a validator needs to put its state away after SIGINT, before PM2 kills it.
STOP_MILLISECONDS = 30_000
# PM2 restarts a validator that crashes, at growing distances.
BACKOFF_MILLISECONDS = 1_000


class Pm2Error(SubnetError):
    """PM2 is not there, or refused."""

    code = "PM2"


@dataclass(frozen=True)
class Running:
    """A process that PM2 looks after. ``restarts`` counts those that PM2 made by itself."""

    online: bool
    restarts: int


class Pm2:
    """One named process: ``script`` run by ``interpreter`` with ``arguments`` in ``cwd``."""

    def __init__(
        self, name: str, *, script: Path, interpreter: str, arguments: Sequence[str], cwd: Path
    ) -> None:
        self._name, self._cwd = name, cwd
        self._start = ["start", str(script), "--name", name, "--interpreter", interpreter]
        self._start += ["--cwd", str(cwd), "--kill-timeout", str(STOP_MILLISECONDS)]
        self._start += ["--exp-backoff-restart-delay", str(BACKOFF_MILLISECONDS)]
        self._start += ["--", *arguments]

    def end(self) -> None:
        """End the process if there is one. Raises Pm2Error."""
        if self.running() is not None:
            self._pm2("delete", self._name)

    def start(self) -> None:
        """Start the process, of which there is none, with today's arguments. Raises Pm2Error."""
        self._pm2(*self._start)

    def running(self) -> Running | None:
        """What PM2 says of the process; None if it knows none of that name. Raises Pm2Error."""
        listed = self._pm2("jlist")
        try:
            # PM2 may print a banner before the list; an empty one is not found, which is right.
            processes: list[dict[str, Any]] = json.loads(listed[listed.index("[{") :])
            facts = next(p["pm2_env"] for p in processes if p["name"] == self._name)
            return Running(
                online=facts["status"] == "online",
                restarts=int(facts["restart_time"]),
            )
        except (ValueError, StopIteration):
            return None
        except (KeyError, TypeError) as error:
            raise Pm2Error(
                f"`pm2 jlist` says something unexpected: {error!r}", "Install a current PM2."
            ) from error

    def _pm2(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                ["pm2", *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=PM2_SECONDS,
                stdin=subprocess.DEVNULL,
                cwd=self._cwd,
            )
        except FileNotFoundError as error:
            raise Pm2Error("pm2 is not installed", "Run: npm install --global pm2") from error
        except subprocess.TimeoutExpired as error:
            raise Pm2Error(f"pm2 {arguments[0]} does not come back", "See `pm2 logs`.") from error
        if done.returncode != 0:
            told = (done.stderr.strip() or done.stdout.strip())[-2_000:]
            raise Pm2Error(f"pm2 {arguments[0]}: {told}", "See `pm2 status` and `pm2 logs`.")
        return done.stdout
