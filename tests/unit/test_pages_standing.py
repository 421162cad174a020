"""What a miner is told: where it stands and what the next rank takes."""

from __future__ import annotations

import pytest
from pages_boards import board, row

from voice_validation_api.pages.standing import standing_of

BOARD = board(
    row(1, 0.90, rank=1),
    row(2, 0.89, rank=1),
    row(3, 0.70, rank=3, wer=0.1),
    row(4, 0.69, rank=3),
)


def test_the_first_has_nobody_to_reach() -> None:
    standing = standing_of(BOARD, "5key1", 0.0)
    assert standing is not None
    assert (standing.ties, standing.step) == (1, None)


def test_the_next_rank_takes_an_interval_that_reaches_the_best_above() -> None:
    standing = standing_of(BOARD, "5key3", 0.0)
    assert standing is not None
    assert standing.step is not None
    step = standing.step
    assert step.target.id == 1
    assert step.gain == pytest.approx(0.88 - 0.72)
    assert step.needed == pytest.approx(0.86)
    # The score grows with likeness in proportion; words alone cannot add a fifth at a WER of 0.1.
    assert step.likeness == pytest.approx(0.7 * 0.86 / 0.7)
    assert step.wer is None


def test_what_words_alone_must_become_counts_from_the_human_floor() -> None:
    close = board(row(1, 0.50, rank=1), row(2, 0.44, rank=2, wer=0.3, likeness=0.6))
    standing = standing_of(close, "5key2", 0.1)
    assert standing is not None
    assert standing.step is not None
    counted = 1 - (1 - 0.2 / 0.9) * (0.46 / 0.44)
    assert standing.step.wer == pytest.approx(0.1 + counted * 0.9)


def test_a_score_of_nothing_names_no_way() -> None:
    zero = board(row(1, 0.5, rank=1), row(2, 0.0, rank=2, low=0.0, high=0.0))
    standing = standing_of(zero, "5key2", 0.0)
    assert standing is not None
    assert standing.step is not None
    assert (standing.step.likeness, standing.step.wer) == (None, None)


def test_a_stranger_stands_nowhere() -> None:
    assert standing_of(BOARD, "5nobody", 0.0) is None


def test_the_weight_is_that_of_the_submission_which_competes() -> None:
    two = board(row(1, 0.9, hotkey="5key"), row(2, 0.8, hotkey="5key", weight=0.3))
    standing = standing_of(two, "5key", 0.0)
    assert standing is not None
    assert standing.row.id == 1
    assert standing.competing is not None
    assert standing.competing.id == 2
