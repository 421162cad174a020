"""How scores compare: pure functions over published numbers, the same for everyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Bounds(Protocol):
    """The ends of an interval of scores."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


def tied_ranks(intervals: Sequence[Bounds | None]) -> list[int | None]:
    """Rank entries that are sorted by score, best first; None marks an entry without a score.

    An entry whose interval reaches that of the best of the group above it ties with that group
    and shares its rank; the next group's rank counts everyone before it.
    """
    ranks: list[int | None] = []
    best: Bounds | None = None
    rank = 0
    for position, interval in enumerate(intervals, start=1):
        if interval is None:
            ranks.append(None)
            continue
        if best is None or interval.high < best.low:
            best, rank = interval, position
        ranks.append(rank)
    return ranks
