"""What took how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Timings:
    """Seconds in which each stage was busy, by the clock.

    Stages overlap, and ``record`` and ``perturb`` may run in several processes at once, so that
    together they may exceed ``wall``: the seconds from the first prompt to the last sample.
    Only one thread may add to a stage.
    """

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, spent: float) -> None:
        """Add to the stage ``name``."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 4)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to the stage ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def each(self, name: str, items: Iterator[T]) -> Iterator[T]:
        """``items``, adding the time that computing them takes to the stage ``name``."""
        end = object()
        while True:
            with self.stage(name):
                item = next(items, end)
            if item is end:
                return
            yield item  # type: ignore[misc]  # it is not the end, so it is a T
