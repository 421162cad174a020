"""How the best score and the work went over time, as the series of the charts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timezone

from voice_validation_api.pages.board import Board
from voice_validation_api.pages.queries import BestOfRound, Day


@dataclass(frozen=True)
class Best:
    """The best score of a round, or up to a day; ``anchor``: the best reference voice then."""

    label: str
    at: int
    score: float
    anchor: float | None


@dataclass(frozen=True)
class Progress:
    """``unit`` says what one point of ``best`` stands for. Times are seconds since 1970."""

    unit: str
    best: tuple[Best, ...]
    days: tuple[Day, ...]

    @property
    def best_series(self) -> list[list[float | None]]:
        """Times, best scores, anchors."""
        return [
            [point.at for point in self.best],
            [point.score for point in self.best],
            [point.anchor for point in self.best],
        ]

    @property
    def day_series(self) -> list[list[int]]:
        """Times, submissions, scores."""
        return [
            [_seconds(day.day) for day in self.days],
            [day.submissions for day in self.days],
            [day.scores for day in self.days],
        ]


def progress_of(rounds: Sequence[BestOfRound], days: Sequence[Day], board: Board) -> Progress:
    """By round where rounds were published; before, the best score so far by day."""
    if rounds:
        best = tuple(
            Best(f"round {one.number}", int(one.ended_at.timestamp()), one.score, one.anchor)
            for one in rounds
        )
        return Progress("round", best, tuple(days))
    anchor = board.anchors[0].score if board.anchors else None
    highest = 0.0
    points = []
    for day in days:
        if day.best is not None:
            highest = max(highest, day.best)
            points.append(Best(day.day.isoformat(), _seconds(day.day), highest, anchor))
    return Progress("day", tuple(points), tuple(days))


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), timezone.utc).timestamp())
