"""Ranks with ties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scoring.competition import tied_ranks
from scoring.contract import Interval


def interval(low: float, high: float) -> Interval:
    return Interval(low=low, high=high)


def test_entries_whose_intervals_overlap_share_a_rank() -> None:
    entries = [interval(0.8, 0.9), interval(0.7, 0.85), interval(0.3, 0.4), interval(0.1, 0.31)]

    assert tied_ranks(entries) == [1, 1, 3, 3]


def test_a_chain_of_overlaps_does_not_lift_the_last_entry_to_the_first() -> None:
    assert tied_ranks([interval(0.6, 0.9), interval(0.5, 0.7), interval(0.4, 0.55)]) == [1, 1, 3]


def test_an_entry_without_a_score_has_no_rank() -> None:
    assert tied_ranks([interval(0.5, 0.6), None]) == [1, None]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.3)), max_size=30))
def test_ranks_never_improve_going_down(entries: list[tuple[float, float]]) -> None:
    ordered = sorted(entries, reverse=True)
    ranks = tied_ranks([interval(max(s - w, 0), min(s + w, 1)) for s, w in ordered])

    assert ranks == sorted(ranks, key=lambda rank: rank or 0)
    assert all(rank is not None and rank <= i for i, rank in enumerate(ranks, start=1))
