"""Where a miner stands, and what would have to improve for the next rank. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from voice_validation_api.pages.board import Board, Row


@dataclass(frozen=True)
class Step:
    """What it takes to reach the group above.

    Ranks are shared while intervals overlap: a submission joins the group above once the upper end
    of its interval reaches the lower end of that group's best. ``gain`` is that distance, in
    points of the score. ``likeness`` and ``wer``: what either would have to become while all
    else stays; None where no value of it alone is enough.
    """

    target: Row
    needed: float
    gain: float
    likeness: float | None
    wer: float | None


@dataclass(frozen=True)
class Standing:
    """The best row of a miner, those that share its rank, and the way up; None at the top.

    ``competing``: its row that took part in the newest round and carries its weight, if one did.
    """

    row: Row
    ties: int
    total: int
    step: Step | None
    competing: Row | None


def standing_of(board: Board, hotkey: str, floor: float) -> Standing | None:
    """Where ``hotkey`` stands; ``floor`` is the recogniser's word error rate on people."""
    own = [row for row in board.rows if row.hotkey == hotkey]
    if not own:
        return None
    row = own[0]
    competing = next((row for row in own if row.weight is not None), None)
    ties = sum(other.rank == row.rank for other in board.rows) - 1
    above = [other.rank for other in board.rows if (other.rank or 0) < (row.rank or 0)]
    step = None
    if above:
        target = next(other for other in board.rows if other.rank == above[-1])
        step = _step(row, target, floor)
    return Standing(row, ties, len(board.rows), step, competing)


def _step(row: Row, target: Row, floor: float) -> Step:
    gain = target.low - row.high
    needed = row.score + gain
    likeness = wer = None
    if row.score > 0:
        # The score is a product of which likeness and (1 - counted WER) are factors.
        ratio = needed / row.score
        likeness = row.likeness * ratio if row.likeness * ratio <= 1 else None
        counted = min(1.0, max(0.0, (row.wer - floor) / (1 - floor)))
        counted_then = 1 - (1 - counted) * ratio
        wer = floor + counted_then * (1 - floor) if counted_then >= 0 else None
    return Step(target, needed, gain, likeness, wer)
