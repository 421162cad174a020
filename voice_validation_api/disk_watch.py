"""Keeps a worker from filling its disk: evict first, then claim nothing until there is room."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

RESUME_FACTOR = 1.25
"""Claiming begins again with this much more than the mark below which it stopped. One mark alone
would have it stop and go with every file."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiskState:
    """What was seen last."""

    free_bytes: int
    is_full: bool


def free_bytes(path: Path) -> int:
    """What this user may still write on the disk of ``path``. Raises OSError."""
    return shutil.disk_usage(path).free


def is_full(free: int, *, was_full: bool, low: int) -> bool:
    """Whether there is too little room, given what was so a moment ago."""
    return free < (low * RESUME_FACTOR if was_full else low)


class DiskWatch:
    """Shared by the queues of one worker.

    ``free`` measures, ``evict`` is asked to make so many bytes free and need not succeed.
    """

    def __init__(
        self, *, low_bytes: int, free: Callable[[], int], evict: Callable[[int], object]
    ) -> None:
        self._low = low_bytes
        self._free = free
        self._evict = evict
        self._lock = Lock()
        self._state = DiskState(free(), is_full=False)

    @property
    def state(self) -> DiskState:
        """What ``has_room`` saw last."""
        return self._state

    def has_room(self) -> bool:
        """Look, and make room where there is none; whether another evaluation may begin.

        Raises OSError.
        """
        with self._lock:
            before, free = self._state, self._free()
            if is_full(free, was_full=before.is_full, low=self._low):
                self._evict(int(self._low * RESUME_FACTOR) - free)
                free = self._free()
            full = is_full(free, was_full=before.is_full, low=self._low)
            self._state = DiskState(free, full)
        if full and not before.is_full:
            log.error(
                "only %d bytes are free and nothing is left to evict: nothing is claimed until "
                "%d are",
                free,
                int(self._low * RESUME_FACTOR),
            )
        if before.is_full and not full:
            log.info("%d bytes are free: claiming again", free)
        return not full
