"""When rounds are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.competition import Rules
from scoring.competition.rounds import first_round, may_enter, round_at, round_seed

RULES = Rules()
BLOCKS = st.integers(0, 10**9)


@given(BLOCKS)
def test_every_block_lies_in_one_round(block: int) -> None:
    times = round_at(block, RULES)

    assert times.start_block <= block < times.end_block
    assert round_at(times.end_block, RULES).number == times.number + 1
    assert times.start_block < times.seed_block < times.end_block


@given(BLOCKS)
def test_a_submission_enters_the_next_round_whose_seed_it_cannot_know(pinned: int) -> None:
    times = first_round(pinned, RULES)

    assert may_enter(pinned, times)
    assert not may_enter(pinned, round_at(pinned, RULES))
    assert pinned < times.seed_block


def test_there_is_no_block_before_the_first() -> None:
    with pytest.raises(ValueError, match="-1"):
        round_at(-1, RULES)


def test_seeds_differ_by_competition_round_and_block() -> None:
    seeds = {
        round_seed("tts", 7, "0xaa"),
        round_seed("tts", 8, "0xaa"),
        round_seed("tts", 7, "0xab"),
        round_seed("roleplay", 7, "0xaa"),
    }

    assert len(seeds) == 4
    assert round_seed("tts", 7, "0xaa") == round_seed("tts", 7, "0xaa")
