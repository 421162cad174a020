"""Which launcher a name means on this machine."""

from __future__ import annotations

import logging
from typing import Literal

from voice_validation_api.launchers.base import Launcher, LauncherUnavailableError
from voice_validation_api.launchers.docker import EVALUATOR_IMAGE, DockerLauncher
from voice_validation_api.launchers.process import ProcessLauncher

log = logging.getLogger(__name__)


def choose_launcher(
    name: Literal["auto", "process", "docker"], *, image: str = EVALUATOR_IMAGE
) -> Launcher:
    """The launcher called ``name``; ``auto`` takes docker where it works, with ``image``.

    Raises LauncherUnavailableError; OSError when an engine answers and then fails.
    """
    if name == "process":
        return ProcessLauncher()
    try:
        return DockerLauncher(image)
    except LauncherUnavailableError as error:
        if name == "docker":
            raise
        log.warning(
            "EVALUATIONS ARE NOT ISOLATED: they run as processes with the worker's own rights, "
            "fit only for models that you trust. %s",
            error,
        )
        return ProcessLauncher()
