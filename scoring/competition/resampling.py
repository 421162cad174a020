"""The bootstrap over the prompts of a round, in integers, so that it is the same everywhere."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from scoring.competition.records import RoundResult

SCORE_UNITS = 10**9
"""A score of 1, in the units that are added up."""

_LANE_BITS = 64


def prompt_units(result: RoundResult) -> list[int]:
    """The result on each prompt, in units, such that their mean is the score.

    The score also knows what only all prompts together show (corpus WER, repeated recordings).
    Results per prompt say how it varies. A prompt that could not be scored counts as nothing, as
    it does in the score.
    """
    score = round(result.score * SCORE_UNITS)
    units = [0 if value is None else round(value * SCORE_UNITS) for value in result.prompt_scores]
    total = sum(units)
    if total == 0:
        return [score] * len(units)
    return [unit * score * len(units) // total for unit in units]


def resampled_sums(
    rows: Sequence[Sequence[int]], *, seed: str, resamples: int
) -> list[tuple[int, ...]]:
    """For each row the sums over ``resamples`` draws of its columns, with replacement.

    All rows see the same draws, as paired differences need. Values are at least 0, sums under
    2**63.
    """
    columns = [_in_lanes(column) for column in zip(*rows, strict=True)]
    lanes = struct.Struct(f"<{len(rows)}Q")
    draws = _draws(seed, len(columns), resamples)
    sums = [sum(map(columns.__getitem__, draw)).to_bytes(lanes.size, "little") for draw in draws]
    return list(zip(*map(lanes.unpack, sums), strict=True))


class Sample:
    """The resampled sums of one row, ready to be compared with those of others.

    One integer holds all sums, each in a lane of 64 bits, so that one subtraction subtracts them
    all: half of the pairs of a round of 256 would otherwise take minutes in eight rounds.
    """

    def __init__(self, sums: Sequence[int], *, margin: int) -> None:
        """``margin``, at least 0, is what a sum must exceed another one by."""
        ones = _in_lanes([1] * len(sums))
        self._top_bits = ones << (_LANE_BITS - 1)
        self._raised = _in_lanes(sums) + self._top_bits
        self._bar = _in_lanes(sums) + (margin + 1) * ones

    def count_above(self, other: Sample) -> int:
        """In how many draws this one's sum exceeds the other's by more than the margin."""
        # A lane keeps its top bit exactly where sum - other - margin - 1 is not negative.
        return ((self._raised - other._bar) & self._top_bits).bit_count()


def _in_lanes(values: Sequence[int]) -> int:
    return int.from_bytes(struct.pack(f"<{len(values)}Q", *values), "little")


def _draws(seed: str, columns: int, resamples: int) -> list[list[int]]:
    """Column numbers from SHAKE-256: they depend on no library's idea of random numbers."""
    count = columns * resamples
    stream = hashlib.shake_256(f"bootstrap:{seed}".encode()).digest(4 * count)
    numbers = [number * columns >> 32 for number in struct.unpack(f"<{count}I", stream)]
    return [numbers[start : start + columns] for start in range(0, count, columns)]
