"""Where an auto-updater works: somebody's clone of an author's repository, and a PM2 of its own."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GIT_NAMES = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "dev"), ("EMAIL", "dev@example.com"))
}


@dataclass
class UpdaterHome:
    """A clone, what it was cloned from, and the environment that everything there runs in."""

    author: Path
    clone: Path
    environment: dict[str, str]

    def run(self, *command: str, where: Path | None = None) -> str:
        """What a command prints that must succeed."""
        done = subprocess.run(
            command,
            cwd=where or self.clone,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def begin(self) -> None:
        """Make the author's first version of what lies there, and the clone."""
        self.run("git", "init", "-q", "-b", "main", where=self.author)
        self.commit("The first version")
        self.run("git", "clone", "-q", str(self.author), str(self.clone), where=self.author)

    def commit(self, message: str) -> str:
        """The commit that everything in the author's repository becomes."""
        self.run("git", "add", "-A", where=self.author)
        self.run("git", "commit", "-q", "-m", message, where=self.author)
        return self.run("git", "rev-parse", "HEAD", where=self.author)

    def head(self) -> str:
        """The commit that is checked out in the clone."""
        return self.run("git", "rev-parse", "HEAD")

    def health(self) -> dict[str, Any]:
        """What the validator has written for whoever watches it; empty before it has."""
        return self._read("var/validator/health.json")

    def state(self) -> dict[str, Any]:
        """What the updater remembers; empty before it has to."""
        return self._read("var/updater/state.json")

    @property
    def log(self) -> str:
        """What the updater told so far."""
        return Path(self.environment["PM2_HOME"], "logs/sn231-vali-updater-error.log").read_text()

    def _read(self, path: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.clone / path).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found
