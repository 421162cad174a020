"""What only a whole evaluation shows: whose voice is whose, and whether it does what it is told.

All of it is computed from the measures that each sample reports, so whoever reads a result can
compute it again.

- ``distinct``: the share of prompts that are not the same recording as an earlier one.
- ``voices``: how well speakers are told apart. Of all pairs of prompts, those of one speaker should
  sound closer than those of two; the share of comparisons in which they do (the AUC), from 0.5,
  where every speaker has one voice or each prompt another, to 1. It falls both when one speaker is
  inconsistent and when two are alike.
- ``follows_description``: whether pitch level, pitch range, rate and energy move in the direction
  asked for, compared within one speaker: Somers' D (1962, American Sociological Review 27,
  799-811), from 0 for a model that reads everything alike to 1.

None is a number where the prompts give no occasion to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scoring.metrics.human_reference import HumanReference

AXES: Mapping[str, str] = {
    "pitch_level": "pitch_level",
    "pitch_range": "pitch_spread",
    "rate": "tempo",
    "energy": "energy",
}
"""What a description asks for, and the measure that should follow."""

SAME_RECORDING = 0.1
"""Distance below which two prompts are one recording. The closest two of 150 different lines in one
synthetic voice are 0.18 apart; a copy with another gain or another end is at 0. Copies disguised by
noise or speed are not found here, but say the wrong words all the same."""

_TIMBRE = tuple(f"timbre_{i:02d}" for i in range(1, 13))
_FINGERPRINT = (
    *_TIMBRE,
    "pitch_level",
    "pitch_spread",
    "pitch_speed",
    "voiced_share",
    "speech_seconds",
    "level_range",
    "attack",
    "tempo",
    "syllable_rate",
    "cepstral_spread",
    "delta_spread",
    "fast_modulation",
)
# Beyond this many, more prompts add time and no certainty.
_MOST_PROMPTS = 600


class Asked(Protocol):
    """What a description asks for: -1 for low, 0 for ordinary, 1 for high."""

    @property
    def pitch_level(self) -> int: ...
    @property
    def pitch_range(self) -> int: ...
    @property
    def rate(self) -> int: ...
    @property
    def energy(self) -> int: ...


@dataclass(frozen=True)
class Spoken:
    """One prompt as it came out. ``asked`` is None where nobody knows what was asked for."""

    speaker: str
    text: str
    measures: Mapping[str, float]
    asked: Asked | None = None


@dataclass(frozen=True)
class AcrossPrompts:
    """Values in [0, 1], or None where the prompts give no occasion to tell; and Somers' D by
    axis, in [-1, 1]."""

    distinct: float
    voices: float | None
    follows_description: float | None
    by_axis: Mapping[str, float]


def compare(spoken: Sequence[Spoken], reference: HumanReference) -> AcrossPrompts:
    """Compare the first 600 prompts with each other."""
    counted = [s for s in spoken[:_MOST_PROMPTS] if "timbre_01" in s.measures]
    by_axis = {
        axis: value
        for axis, measure in AXES.items()
        if (value := _somers_d(counted, axis, measure)) is not None
    }
    follows = max(0.0, float(np.mean(list(by_axis.values())))) if by_axis else None
    return AcrossPrompts(
        distinct=_distinct(counted, reference),
        voices=_voices(counted, reference),
        follows_description=follows,
        by_axis=by_axis,
    )


def _distinct(spoken: Sequence[Spoken], reference: HumanReference) -> float:
    if not spoken:
        return 1.0
    distances = _distances(spoken, _FINGERPRINT, reference)
    texts = np.array([s.text for s in spoken])
    copies = (distances < SAME_RECORDING) & (texts[:, np.newaxis] != texts)
    return float(1.0 - np.tril(copies, -1).any(axis=1).mean())


def _voices(spoken: Sequence[Spoken], reference: HumanReference) -> float | None:
    """The AUC, stretched from 0.5..1 to 0..1."""
    distances = _distances(spoken, (*_TIMBRE, "pitch_level"), reference)
    speakers = np.array([s.speaker for s in spoken])
    pairs = np.triu_indices(len(spoken), 1)
    same = (speakers[:, np.newaxis] == speakers)[pairs]
    within, between = np.sort(distances[pairs][same]), distances[pairs][~same]
    if len(within) == 0 or len(between) == 0:
        return None
    below = np.searchsorted(within, between, side="left")
    ties = np.searchsorted(within, between, side="right") - below
    auc = float((below + ties / 2.0).mean() / len(within))
    return max(0.0, 2.0 * auc - 1.0)


def _distances(
    spoken: Sequence[Spoken], names: Sequence[str], reference: HumanReference
) -> NDArray[np.float64]:
    """Root mean square differences (n, n) in units of the spread over people."""
    rows = np.array([[s.measures.get(name, np.nan) for name in names] for s in spoken])
    if len(rows) == 0:
        return np.zeros((0, 0))
    spread = np.array([_spread(reference, name) for name in names])
    scaled = rows / spread
    # A measure that either lacks says nothing about the two.
    differences = np.array([np.nanmean((scaled - row) ** 2, axis=1) for row in scaled])
    return np.asarray(np.sqrt(differences))


def _spread(reference: HumanReference, name: str) -> float:
    statistic = reference.statistics[name]
    # The 5th and 95th percentile of a normal distribution are 3.29 standard deviations apart.
    return max((statistic.q95 - statistic.q05) / 3.29, 1e-6)


def _somers_d(spoken: Sequence[Spoken], axis: str, measure: str) -> float | None:
    """Concordant minus discordant pairs, over all pairs of one speaker asked differently."""
    outcomes = [
        np.sign((a - b) * (x - y)) for (a, x), (b, y) in _pairs(spoken, axis, measure) if a != b
    ]
    return float(np.mean(outcomes)) if outcomes else None


def _pairs(
    spoken: Sequence[Spoken], axis: str, measure: str
) -> Iterator[tuple[tuple[int, float], tuple[int, float]]]:
    points: dict[str, list[tuple[int, float]]] = {}
    for one in spoken:
        if one.asked is not None and measure in one.measures:
            point = (getattr(one.asked, axis), one.measures[measure])
            points.setdefault(one.speaker, []).append(point)
    for own in points.values():
        yield from combinations(own, 2)
