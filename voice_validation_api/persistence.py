"""Writing through an outage of the database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from voice_validation_api.database import DatabaseUnavailableError
from voice_validation_api.wakeup import Stop

T = TypeVar("T")
log = logging.getLogger(__name__)


class Backoff:
    """Pauses that double from half a second to ten."""

    def __init__(self) -> None:
        self._next = 0.5

    def next(self) -> float:
        """Seconds to wait now."""
        pause = self._next
        self._next = min(2 * pause, 10.0)
        return pause


def persist(write: Callable[[], T], give_up: Stop) -> T:
    """Call ``write`` until the database takes it; once more at most after ``give_up``.

    ``write`` must be repeatable. Raises DatabaseUnavailableError after giving up, and whatever
    else ``write`` raises.
    """
    backoff = Backoff()
    while True:
        try:
            return write()
        except DatabaseUnavailableError as error:  # noqa: PERF203 - to try again is the point
            pause = backoff.next()
            log.warning("%s; writing again in %.1f s", error, pause)
            if give_up.wait(pause):
                raise
