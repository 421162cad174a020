"""How long to wait after a failure: longer after each, up to a cap, and not in step with others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Delays that double from ``first`` to ``ceiling``, in seconds."""

    first: float
    ceiling: float

    def delay(self, failures: int, jitter: float) -> float:
        """Seconds to wait after so many failures in a row (one or more).

        ``jitter``, a random number from 0 to 1, takes away up to half, so that programs that
        failed together do not come back together.
        """
        doublings = min(failures - 1, 64)
        return min(self.first * 2.0**doublings, self.ceiling) * (1.0 - jitter / 2.0)
