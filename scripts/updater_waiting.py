"""How long a version may take for its first healthy pass, and what the chain's silence changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

PROBE_SECONDS = 30.0
"""Time between two questions to the chain; less where the time in all is short."""

log = logging.getLogger("updater")


@dataclass(frozen=True)
class Failure:
    """Why a version is not known to be healthy; ``is_the_chains``: it could not be."""

    reason: str
    is_the_chains: bool = False


class Waiting:
    """Waits ``seconds`` in which the chain answers, or as many in which it does not.

    ``clock`` gives seconds.
    """

    def __init__(
        self, seconds: float, clock: Callable[[], float], chain_answers: Callable[[], bool]
    ) -> None:
        self._seconds = seconds
        self._pause = min(PROBE_SECONDS, seconds / 10)
        self._clock = clock
        self._chain_answers = chain_answers
        self._spent = {True: 0.0, False: 0.0}
        self._looked = clock()
        self._asked = self._looked
        self._answered = chain_answers()
        self._tell()

    def look(self) -> Failure | None:
        """Whether the wait is over, and what that means."""
        now = self._clock()
        self._spent[self._answered] += max(0.0, now - self._looked)
        self._looked = now
        if now - self._asked >= self._pause:
            self._ask()
        if self._spent[True] > self._seconds:
            return Failure(f"no healthy pass within {self._seconds:.0f} s")
        if self._spent[False] > self._seconds:
            return Failure(
                f"the chain did not answer for {self._spent[False]:.0f} s, so that there was no "
                "healthy pass to be had",
                is_the_chains=True,
            )
        return None

    def _ask(self) -> None:
        before, self._answered = self._answered, self._chain_answers()
        self._asked = self._clock()
        if self._answered != before:
            self._tell()

    def _tell(self) -> None:
        if self._answered:
            log.info("the chain answers: a healthy pass is waited for")
        else:
            log.warning("the chain does not answer: this time is not held against the version")
