"""Installs what a version of the validator needs into the environment that runs it."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

from utilities.errors import SubnetError

INSTALL_SECONDS = 1_800.0
REQUIREMENTS = "requirements.validator.txt"
# When one of these changed, there is something to install.
INPUTS = (REQUIREMENTS, "constraints.txt", "pyproject.toml")


class InstallError(SubnetError):
    """The requirements of a version cannot be installed."""

    code = "INSTALL"


class Installer:
    """Installs from ``root`` for ``python``."""

    def __init__(self, root: Path, python: str) -> None:
        self._root, self._python = root, python

    def install(self) -> None:
        """Install what is checked out. Raises InstallError."""
        arguments = ["-r", REQUIREMENTS, "-e", "."]
        command = [*self._installing(), "--quiet", *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=self._root,
                capture_output=True,
                text=True,
                check=False,
                timeout=INSTALL_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InstallError(f"{' '.join(command)}: {error}", "Install uv or pip.") from error
        if done.returncode != 0:
            raise InstallError(
                f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-2_000:]}",
                f"Run it by hand in {self._root}.",
            )

    def _installing(self) -> list[str]:
        # An environment that uv made has no pip of its own.
        if importlib.util.find_spec("pip") is not None:
            return [self._python, "-m", "pip", "--disable-pip-version-check", "install"]
        return ["uv", "pip", "install", "--python", self._python]
