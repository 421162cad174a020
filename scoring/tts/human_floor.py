"""The word error rate that a recogniser has on people, below which there is nothing to gain.

A recogniser mishears people too. Speech that it understands better than people is not better speech
but speech made for that recogniser, so the score counts only the errors beyond the human floor:

    counted WER = clip((WER - floor) / (1 - floor), 0, 1)

It is 0 up to the floor, 1 from WER 1 on, and increases in between. The floors are measurements,
shipped as JSON by the digest of the recogniser; ``scripts/measure_human_floor.py`` adds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from scoring.contract import AsrInfo, Hex64, Record, WerInterval

FLOORS_FILE = Path(__file__).with_name("human_floor.json")


class FloorSource(Record):
    """The recordings of one corpus that went into a floor."""

    name: str
    licence: str
    speakers: int
    clips: int
    words: int
    edits: int


class MeasuredFloor(Record):
    """The corpus WER of one recogniser on human recordings, with a 95 % bootstrap interval over
    clips."""

    engine: str
    model: str
    version: str
    digest: Hex64
    wer: float = Field(ge=0.0, lt=1.0)
    interval: WerInterval
    sources: tuple[FloorSource, ...]


class HumanFloors(Record):
    """All floors that were measured."""

    floors: tuple[MeasuredFloor, ...] = ()


@cache
def load_floors() -> HumanFloors:
    """The floors that the package ships."""
    return HumanFloors.model_validate_json(FLOORS_FILE.read_bytes())


def floor_of(recogniser: AsrInfo) -> float | None:
    """The floor of the recogniser with these very files, or None where nobody measured it."""
    floors = load_floors().floors
    return next((f.wer for f in floors if f.digest == recogniser.digest), None)


def joint_floor(recognisers: Sequence[AsrInfo]) -> float:
    """The floor where the worst of several recognisers counts.

    On people the worst of two is no better than either, so the highest floor of one is a floor of
    all. One without a measurement gives no credit away: its floor is 0.
    """
    return max(floor_of(recogniser) or 0.0 for recogniser in recognisers)


@overload
def wer_for_score(wer: float, floor: float) -> float: ...
@overload
def wer_for_score(wer: NDArray[np.float64], floor: float) -> NDArray[np.float64]: ...
def wer_for_score(wer: float | NDArray[np.float64], floor: float) -> float | NDArray[np.float64]:
    """The share in [0, 1] of the words that counts as lost, from raw WER; ``floor`` in [0, 1)."""
    counted = np.clip((wer - floor) / (1.0 - floor), 0.0, 1.0)
    return np.asarray(counted) if isinstance(wer, np.ndarray) else float(counted)
