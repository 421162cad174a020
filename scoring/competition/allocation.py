"""Weights from published rounds and the chain: a pure function, the same for everyone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from scoring.competition.records import Participant, RoundSnapshot, Weights
from scoring.competition.rules import Rules


def weights(
    snapshots: Sequence[RoundSnapshot],
    *,
    chain: Sequence[Participant],
    rules: Rules,
    block: int,
    excluded: Collection[int] = (),
) -> Weights:
    """Everybody's weight at ``block``.

    ``snapshots`` must reach back ``rules.window`` rounds or to the first one; ``chain`` holds the
    hotkeys registered at ``block``; ``excluded`` are ids of submissions that the validator's own
    audits exclude. Raises RoundsUnusableError when snapshots are missing, contradict each other, or
    lie in the future.
    """
    raise NotImplementedError
