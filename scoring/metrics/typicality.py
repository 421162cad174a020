"""How far a measure lies outside what people do, on either side.

    distance = |x - median| / (the distance of the 5th or 95th percentile, on that side)
    typicality of a part = 1 / (1 + 2 x the sum over its measures of max(0, distance - 1)^2)

Whoever is within the middle nine tenths of people loses nothing: being more average than a person
is no virtue, and systems that average over people must not gain by it. Outside, the typicality is
a third at one more such distance, and keeps falling. Some measures can only be too high or too low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scoring.metrics.human_reference import Statistic

STEEPNESS = 2.0

ONLY_TOO_HIGH = frozenset({"pause_longest", "pause_rate", "repetition"})
"""A short line needs no pause, and gives few occasions to repeat a sound."""

ONLY_TOO_LOW = frozenset({"noise_floor"})
"""How silent the silence is tells a recorder from a file, not a person from a machine."""


def excess(name: str, value: float, statistic: Statistic) -> float:
    """How far the measure lies outside the human range, in distances from the median to its edge;
    0 on the side of a one-sided measure that is no fault."""
    above = value > statistic.median
    if name in (ONLY_TOO_LOW if above else ONLY_TOO_HIGH):
        return 0.0
    up, down = statistic.q95 - statistic.median, statistic.median - statistic.q05
    # One tail may be missing, as with a count that most clips have none of.
    tail = max(up, down / 2.0) if above else max(down, up / 2.0)
    return max(0.0, abs(value - statistic.median) / (tail + 1e-9) - 1.0)


def typicality(
    names: Sequence[str],
    measures: Mapping[str, float],
    statistics: Mapping[str, Statistic],
) -> float:
    """Typicality in (0, 1] of the part that ``names`` make up; measures missing say nothing."""
    outside = sum(
        excess(name, measures[name], statistics[name]) ** 2 for name in names if name in measures
    )
    return 1.0 / (1.0 + STEEPNESS * outside)
