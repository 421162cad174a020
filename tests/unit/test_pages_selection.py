"""What an address chooses of a board: order, filter, search, page."""

from __future__ import annotations

import pytest
from pages_boards import NOW, anchor, board, row

from voice_validation_api.pages.selection import PAGE_ROWS, Choice, Show, Sort, select

BOARD = board(
    row(1, 0.9, wer=0.3, best_of_miner=True),
    row(2, 0.8, wer=0.1, hotkey="5key1"),
    row(9, 0.7, wer=0.2, best_of_miner=True, weight=0.5),
    anchors=(anchor("hibari", 0.85), anchor("hibari-noise", 0.1)),
)


def shown(choice: Choice) -> list[int | str]:
    return [row.id or row.name for row in select(BOARD, choice, NOW).rows]


def test_by_rank_the_anchors_stand_at_their_scores() -> None:
    assert shown(Choice()) == [1, "hibari", 2, 9, "hibari-noise"]
    assert shown(Choice(reverse=True)) == ["hibari-noise", 9, 2, "hibari", 1]


@pytest.mark.parametrize(
    ("sort", "order"),
    [(Sort.MODEL, [1, 2, 9]), (Sort.AGE, [1, 2, 9]), (Sort.WEIGHT, [9, 1, 2])],
)
def test_where_an_anchor_has_no_value_it_is_left_out(sort: Sort, order: list[int]) -> None:
    assert shown(Choice(sort=sort)) == order


def test_a_lower_word_error_rate_comes_first() -> None:
    ids = [entry for entry in shown(Choice(sort=Sort.WER)) if isinstance(entry, int)]
    assert ids == [2, 9, 1]


@pytest.mark.parametrize(
    ("text", "found"), [("MINER9", [9]), ("5key1", [1, 2]), ("0009", [9]), ("nobody", [])]
)
def test_a_search_looks_at_hotkey_model_and_revision(text: str, found: list[int]) -> None:
    assert shown(Choice(text=text)) == found


@pytest.mark.parametrize(
    ("show", "ids"), [(Show.BEST, [1, 9]), (Show.NEW, [1, 2]), (Show.EARNING, [9])]
)
def test_filters_leave_rows_out(show: Show, ids: list[int]) -> None:
    assert [entry for entry in shown(Choice(show=show)) if isinstance(entry, int)] == ids


def test_every_row_and_every_anchor_is_on_exactly_one_page() -> None:
    many = board(
        *(row(n, 0.9 - n / 1_000, best_of_miner=True) for n in range(1, 2 * PAGE_ROWS + 2)),
        anchors=(anchor("high", 0.99), anchor("middle", 0.83), anchor("low", 0.1)),
    )
    for reverse in (False, True):
        pages = [select(many, Choice(page=n, reverse=reverse), NOW) for n in (1, 2, 3)]
        names = [entry.name for page in pages for entry in page.rows]
        assert len(names) == len(set(names)) == 2 * PAGE_ROWS + 4
        scores = [entry.score for page in pages for entry in page.rows]
        assert scores == sorted(scores, reverse=not reverse)
    assert select(many, Choice(page=99), NOW).page == 3


def test_an_address_says_all_of_a_choice_and_nothing_that_goes_without_saying() -> None:
    assert Choice().href() == "/?"
    choice = Choice(text="a&b", show=Show.NEW, sort=Sort.WER, reverse=True, page=2)
    assert choice.href() == "/?q=a%26b&show=new&sort=wer&reverse=1&page=2"
    assert Choice(sort=Sort.WER).sorted_by(Sort.WER) == "/?sort=wer&reverse=1"
    assert Choice(sort=Sort.WER, reverse=True).sorted_by(Sort.WER) == "/?sort=wer"
