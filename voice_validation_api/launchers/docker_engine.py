"""The Docker engine that the environment names, and the worker's own place on its machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker
import requests
from docker.errors import DockerException, NotFound

from voice_validation_api.launchers.base import LauncherUnavailableError

CALL_SECONDS: Final = 60
# What is mounted, and where. Elsewhere the engine itself mounts these files for a moment, on its
# machine and below its own directory, while it copies out of some container.
_OWN_ID = re.compile(r"/containers/([0-9a-f]{64})/(hostname|hosts|resolv\.conf) /etc/\2 ")


class EngineError(OSError):
    """The engine did not do what it was asked; the message says what that was."""


@dataclass(frozen=True)
class OwnContainer:
    """The container that this program runs in.

    ``mounts`` maps each mount's place in it to where that lies on the engine's machine.
    """

    id: str
    started_at: str
    mounts: dict[Path, Path]


def connect() -> Any:
    """A client of the engine. Raises LauncherUnavailableError when none answers."""
    try:
        client = docker.from_env(timeout=CALL_SECONDS)
        client.ping()
    except (DockerException, requests.RequestException) as error:
        raise LauncherUnavailableError(
            f"no Docker engine answers ({error}): start one, or let DOCKER_HOST name it; "
            "a worker in a container needs -v /var/run/docker.sock:/var/run/docker.sock"
        ) from error
    return client


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Raise EngineError for whatever goes wrong between us and the engine."""
    try:
        yield
    except (DockerException, requests.RequestException) as error:
        raise EngineError(f"the Docker engine failed while {doing}: {error}") from error


def own_container(client: Any) -> OwnContainer | None:
    """The container of ``client``'s engine that this program runs in; None: it runs in none."""
    found = container_id(Path("/proc/self/mountinfo").read_text("utf-8"))
    if found is None:
        return None
    try:
        with engine_errors("looking for the worker's own container"):
            facts = client.api.inspect_container(found)
    except EngineError as error:
        if isinstance(error.__cause__, NotFound):
            # The engine runs inside of our container with us, and its machine is our own.
            return None
        raise
    return OwnContainer(
        id=facts["Id"],
        started_at=facts["State"]["StartedAt"],
        mounts={
            Path(mount["Destination"]): Path(mount["Source"])
            for mount in facts["Mounts"]
            if mount["Type"] in {"bind", "volume"}
        },
    )


def container_id(mountinfo: str) -> str | None:
    """The id that the engine's own mounts in a container carry, whatever its host name."""
    match = _OWN_ID.search(mountinfo)
    return match.group(1) if match else None
