"""When rounds are, who takes part, and what seeds them: arithmetic on blocks.

Rounds are counted from block 0 of the chain, so that everybody knows them without asking anyone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from scoring.competition.rules import Rules


@dataclass(frozen=True)
class RoundTimes:
    """The blocks of one round. ``end_block`` is the first of the next round."""

    number: int
    start_block: int
    seed_block: int
    end_block: int


def round_at(block: int, rules: Rules) -> RoundTimes:
    """The round that ``block`` lies in."""
    if block < 0:
        raise ValueError(f"there is no block {block}")
    return round_times(block // rules.round_length, rules)


def round_times(number: int, rules: Rules) -> RoundTimes:
    """The blocks of round ``number``."""
    start = number * rules.round_length
    return RoundTimes(number, start, start + rules.seed_delay, start + rules.round_length)


def may_enter(pinned_block: int, times: RoundTimes) -> bool:
    """Whether a submission takes part: its revision was pinned before the round started."""
    return pinned_block < times.start_block


def first_round(pinned_block: int, rules: Rules) -> RoundTimes:
    """The first round that a submission pinned at ``pinned_block`` may enter."""
    return round_times(pinned_block // rules.round_length + 1, rules)


def round_seed(competition_id: str, number: int, block_hash: str) -> str:
    """sha256, in hexadecimal, over competition, round number and the hash of its seed block."""
    return hashlib.sha256(f"{competition_id}:{number}:{block_hash}".encode()).hexdigest()
