"""The series of the progress page."""

from __future__ import annotations

from datetime import date

from pages_boards import NOW, anchor, board

from voice_validation_api.pages.progress import progress_of
from voice_validation_api.pages.queries import BestOfRound, Day

DAYS = (
    Day(date(2026, 11, 1), 3, 2, 0.5),
    Day(date(2026, 11, 2), 1, 0, None),
    Day(date(2026, 11, 3), 0, 2, 0.4),
    Day(date(2026, 11, 4), 0, 1, 0.6),
)


def test_before_any_round_the_best_so_far_never_falls() -> None:
    progress = progress_of((), DAYS, board(anchors=(anchor("hibari", 0.9),)))
    assert progress.unit == "day"
    assert [(point.label, point.score, point.anchor) for point in progress.best] == [
        ("2026-11-01", 0.5, 0.9),
        ("2026-11-03", 0.5, 0.9),
        ("2026-11-04", 0.6, 0.9),
    ]
    first, submissions, scores = progress.day_series
    assert first[1] - first[0] == 86_400
    assert (submissions, scores) == ([3, 1, 0, 0], [2, 0, 2, 1])


def test_rounds_are_shown_as_they_were_even_where_the_best_fell() -> None:
    rounds = [
        BestOfRound(number, NOW, score, score - 0.1, score + 0.1, None)
        for number, score in ((3, 0.7), (4, 0.6))
    ]
    progress = progress_of(rounds, DAYS, board())
    assert progress.unit == "round"
    assert progress.best_series == [[int(NOW.timestamp())] * 2, [0.7, 0.6], [None, None]]


def test_without_anything_there_is_nothing_to_draw() -> None:
    assert progress_of((), (), board()).best == ()
