"""Which launcher a name means on this machine."""

from __future__ import annotations

from typing import Literal

from voice_validation_api.launchers.base import Launcher, LauncherUnavailableError
from voice_validation_api.launchers.process import ProcessLauncher


def choose_launcher(name: Literal["auto", "process", "docker"]) -> Launcher:
    """The launcher called ``name``; ``auto`` takes the best one there is.

    Raises LauncherUnavailableError.
    """
    if name == "docker":
        raise LauncherUnavailableError(
            "this release has no docker launcher; use --launcher process, which isolates nothing: "
            "only for models that you trust"
        )
    return ProcessLauncher()
