"""How long an evaluation may take on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """The time that the base model took on this machine for so many prompts, loading included."""

    seconds: float
    prompts: int


def wall_limit(
    pace: Pace | None, prompts: int, *, factor: float, floor_seconds: float, cap_seconds: float
) -> float:
    """Seconds for an evaluation of ``prompts``: ``factor`` times what the base model would take.

    Loading counts once per prompt that the base model spoke, so the estimate is on the long side.
    Without a ``pace`` it is the cap.
    """
    if pace is None:
        return cap_seconds
    expected = pace.seconds * max(1.0, prompts / pace.prompts)
    return min(cap_seconds, max(floor_seconds, factor * expected))
