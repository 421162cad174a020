"""What human recordings measure: statistics of many speakers, shipped as JSON without any audio.

``scripts/build_human_reference.py`` rebuilds the file from recordings.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from scoring.contract import Record

REFERENCE_FILE = Path(__file__).with_name("human_reference.json")


REFERENCE_SECONDS = 6.0
"""Recordings are cut into pieces of at most this length, about that of a long prompt."""


class Source(Record):
    """The recordings of one corpus that went into the statistics."""

    name: str
    licence: str
    speakers: tuple[str, ...]
    clips: int
    seconds: float


class Statistic(Record):
    """Quantiles of one measure over pieces of recordings, in which every speaker weighs alike."""

    q05: float
    median: float
    q95: float


class HumanReference(Record):
    """Statistics by measure, and where they come from."""

    sources: tuple[Source, ...]
    selection: str
    statistics: dict[str, Statistic]


@cache
def load_reference() -> HumanReference:
    """The statistics that the package ships."""
    return HumanReference.model_validate_json(REFERENCE_FILE.read_bytes())


def in_reference(speaker: str) -> bool:
    """Whether recordings of ``speaker`` may enter the reference; the others are for validation.

    Half of all speakers, by a hash of the name: nobody chooses, and a speaker added later moves
    no other.
    """
    return hashlib.sha256(speaker.encode()).digest()[0] % 2 == 0
