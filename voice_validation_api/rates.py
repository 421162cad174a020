"""How often a caller may call: a token bucket for each, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

BURST_SECONDS: Final = 10.0
"""A caller that was quiet may do so many seconds' worth at once."""
MAX_CALLERS: Final = 100_000


class RateLimiter:
    """Admits ``rate`` calls per second of each caller, and ten seconds' worth at once.

    A bucket is kept as one number, the time at which it will be full (the generic cell rate
    algorithm, ITU-T I.371). Beyond ``max_callers`` the one that called least recently is forgotten,
    whose bucket is the likeliest to be full. Not for several threads at once.
    """

    def __init__(self, rate: float, *, max_callers: int = MAX_CALLERS) -> None:
        self._interval = 1.0 / rate
        self._max_callers = max_callers
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def seconds_to_wait(self, caller: str, now: float) -> float:
        """0 if ``caller`` may call ``now`` (seconds of a steady clock), and the call is counted.

        Otherwise the seconds until it may, and nothing is counted.
        """
        full_at = max(self._full_at.get(caller, now), now) + self._interval
        wait = full_at - now - max(BURST_SECONDS, self._interval)
        if wait > 1e-9:
            return wait
        self._full_at[caller] = full_at
        self._full_at.move_to_end(caller)
        if len(self._full_at) > self._max_callers:
            self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        """How many callers are remembered."""
        return len(self._full_at)
