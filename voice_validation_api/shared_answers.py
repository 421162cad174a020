"""Answers that are the same for all who ask: made once, shown for a second."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Final

MAX_ANSWERS: Final = 64
"""Each may have several hundred kilobytes."""


@dataclass(frozen=True)
class SharedAnswer:
    """The bytes of an answer and the tag that names them."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> SharedAnswer:
        """The answer with its tag, a digest of the bytes."""
        return cls(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


class _Slot:
    def __init__(self) -> None:
        self.lock = Lock()
        self.asked_at = float("-inf")
        self.answer: SharedAnswer | None = None


class SharedAnswers:
    """What was answered lately, for all threads; nobody sees what is older than ``2 * seconds``.

    An answer older than ``seconds`` is due: it is still shown while one of those who ask has it
    made anew. 0 seconds: everyone's is made for them.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._lock = Lock()
        self._slots: OrderedDict[Hashable, _Slot] = OrderedDict()

    def at_hand(self, key: Hashable) -> SharedAnswer | None:
        """The answer to ``key``, if there is one that may be shown."""
        slot = self._slots.get(key)
        return None if slot is None else self._not_older(slot, 2 * self._seconds)

    def is_due(self, key: Hashable) -> bool:
        """Whether the answer to ``key`` should be made, which nobody does now."""
        slot = self._slots.get(key)
        if slot is None:
            return True
        return not slot.lock.locked() and self._not_older(slot, self._seconds) is None

    def get(self, key: Hashable, make: Callable[[], bytes]) -> SharedAnswer:
        """The answer to ``key``, from ``make`` if it is due. Raises what ``make`` raises.

        Of many who ask at the same time one makes it, and the others wait.
        """
        if not self._seconds:
            return SharedAnswer.of(make())
        slot = self._slot(key)
        with slot.lock:
            answer = self._not_older(slot, self._seconds)
            if answer is None:
                asked_at = self._clock()
                answer = SharedAnswer.of(make())
                slot.answer, slot.asked_at = answer, asked_at
            return answer

    def _slot(self, key: Hashable) -> _Slot:
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            if len(self._slots) > MAX_ANSWERS:
                self._slots.popitem(last=False)
            return slot

    def _not_older(self, slot: _Slot, seconds: float) -> SharedAnswer | None:
        # The time is read first: an answer that is replaced in between is only newer.
        return slot.answer if self._clock() - slot.asked_at < seconds else None
