"""Removes containers and volumes whose worker is gone.

Each carries its owner in labels: the worker's container and when that started, or the worker's
process. Whether such an owner lives is a question to the engine or to the kernel, so no heartbeat
is needed and nobody removes what another worker on the same engine still uses. Where the question
cannot be answered (the owner is a process, and we look from within a container), and where the
owner lives and did not clean up, the remains go after a deadline that no evaluation reaches.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docker.errors import APIError, NotFound

from voice_validation_api.launchers.docker_engine import OwnContainer, engine_errors

PREFIX: Final = "speech-subnet"
OWNER: Final = f"{PREFIX}.owner"
INSTANCE: Final = f"{PREFIX}.instance"
DEADLINE: Final = f"{PREFIX}.deadline"
EVALUATION: Final = f"{PREFIX}.evaluation"
DEADLINE_MARGIN: Final = 600.0
"""Seconds from the limit of an evaluation to the time when nobody can still be working on it."""
_CONTAINER: Final = "container:"
_PROCESS: Final = "process:"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """A worker. ``instance`` tells it from its predecessor of the same name."""

    name: str
    instance: str

    def labels(self, evaluation: str, *, expires: float) -> dict[str, str]:
        """For what belongs to ``evaluation`` and has no use after ``expires`` (epoch seconds)."""
        return {
            OWNER: self.name,
            INSTANCE: self.instance,
            DEADLINE: f"{expires + DEADLINE_MARGIN:.0f}",
            EVALUATION: evaluation,
        }


def this_worker(own: OwnContainer | None) -> Owner:
    """The owner that this process is."""
    if own is not None:
        return Owner(f"{_CONTAINER}{own.id}", own.started_at)
    pid = os.getpid()
    return Owner(f"{_process_place()}{pid}", process_start(pid) or "")


def is_orphan(
    labels: Mapping[str, str], is_alive: Callable[[Owner], bool | None], *, now: float
) -> bool:
    """Whether what carries ``labels`` is to be removed. ``is_alive`` answers None if unknown."""
    if is_alive(Owner(labels.get(OWNER, ""), labels.get(INSTANCE, ""))) is False:
        return True
    # An owner that lives can have failed to remove it.
    deadline = labels.get(DEADLINE, "")
    return not deadline.isdecimal() or now > int(deadline)


def remove_orphans(client: Any, me: Owner, *, now: float) -> int:
    """Remove what dead workers left on the engine; how much. Raises EngineError."""

    def is_alive(owner: Owner) -> bool | None:
        return _is_alive(client, owner, me)

    removed = 0
    with engine_errors("removing what dead workers left"):
        chosen: dict[str, Any] = {"filters": {"label": OWNER}}
        for found in client.api.containers(all=True, **chosen):
            if is_orphan(found["Labels"], is_alive, now=now):
                removed += _gone(client.api.remove_container, found["Id"], v=True, force=True)
        # After the containers that use them.
        for found in client.api.volumes(**chosen)["Volumes"] or ():
            if is_orphan(found["Labels"], is_alive, now=now):
                removed += _gone(client.api.remove_volume, found["Name"])
    if removed:
        log.warning("removed %d containers and volumes that dead workers left", removed)
    return removed


def _gone(remove: Callable[..., object], name: str, **how: bool) -> bool:
    try:
        remove(name, **how)
    except NotFound:
        return False
    except APIError as error:
        # Another worker is removing it, or it is still being used: there will be a next time.
        log.info("%s is not removed: %s", name, error)
        return False
    return True


def _is_alive(client: Any, owner: Owner, me: Owner) -> bool | None:
    if owner == me:
        return True
    if owner.name.startswith(_CONTAINER):
        try:
            state = client.api.inspect_container(owner.name.removeprefix(_CONTAINER))["State"]
        except NotFound:
            return False
        return bool(state["Running"]) and state["StartedAt"] == owner.instance
    if owner.name.startswith(place := _process_place()):
        pid = owner.name.removeprefix(place)
        return pid.isdecimal() and process_start(int(pid)) == owner.instance
    return None


def _process_place() -> str:
    """What process numbers are counted in: this boot of this machine, in this namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{_PROCESS}{boot}:{Path('/proc/self/ns/pid').readlink()}:"


def process_start(pid: int) -> str | None:
    """When ``pid`` started, in the kernel's ticks; None when there is no such process.

    Field 22 of /proc/pid/stat, see proc(5); the name before it may hold anything.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
