"""Human likeness in [0, 1]: does this sound like a recording of a person speaking?

    human likeness = gate x product of part ^ weight, the weights adding up to 1

The gate is the share of the recording that is speech, relative to what human recordings reach at
the least; so noise, buzz and music score nothing however clean they are. ``naturalness`` is the
predicted opinion of listeners (DNSMOS P.808), counted from the bottom of the opinion scale up to
the median of human recordings and no further: the predictor ranks good synthesis above people, so
that more than the median tells nothing. The other parts are two-sided (``typicality.py``): too
little is as unlike a person as too much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from scoring.audio import Audio
from scoring.metrics.base import Measure
from scoring.metrics.dnsmos import Dnsmos
from scoring.metrics.human_reference import HumanReference, load_reference
from scoring.metrics.learned_mos import LearnedMos
from scoring.metrics.parts import TWO_SIDED, measure_speech
from scoring.metrics.preparation import normalise
from scoring.metrics.speech_frames import analyse
from scoring.metrics.typicality import typicality

LOWEST_OPINION = 1.0
"""The bottom of the opinion scale ("bad", ITU-T P.800)."""

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "naturalness": 0.20,
        "intonation": 0.20,
        "excitation": 0.15,
        "pauses": 0.05,
        "rate": 0.20,
        "spectrum": 0.20,
    }
)
"""Exponents, set on the speakers of the reference. No learned predictor has more than a fifth."""

WEIGHTS_WITH_LEARNED_MOS: Mapping[str, float] = MappingProxyType(
    {**WEIGHTS, "naturalness": 0.10, "learned_mos": 0.10}
)
"""A learned predictor that joins shares the fifth of the one that is there."""


@dataclass(frozen=True)
class HumanLikeness:
    """The measure that the total score multiplies; its details are the parts it is made of."""

    reference: HumanReference = field(default_factory=load_reference)
    dnsmos: Dnsmos = field(default_factory=Dnsmos)
    learned: LearnedMos | None = None
    name: str = "human_likeness"

    def measure(self, audio: Audio) -> Measure:
        """Raises UnscorableAudioError for what ``audio.check`` refuses."""
        prepared = normalise(audio)
        measures = measure_speech(analyse(prepared.samples))
        opinion = self.dnsmos.opinion(prepared.samples)
        share = measures["speech_share"]
        gate = min(share / self.reference.statistics["speech_share"].q05, 1.0)
        details = {
            "gate": gate,
            "level_db": prepared.level_db,
            "dnsmos_p808": opinion,
            **measures,
        }
        if "speech_seconds" not in measures:
            return Measure(0.0, "there is next to no speech in the recording", details)
        # As loud as it was recorded: asked to speak up, a person does both.
        details["energy"] = prepared.level_db + measures["effort"]
        parts = self._parts(measures, opinion)
        weights = WEIGHTS
        if self.learned is not None:
            details["learned_opinion"] = self.learned.opinion(prepared.samples)
            parts["learned_mos"] = self.learned.share(details["learned_opinion"])
            weights = WEIGHTS_WITH_LEARNED_MOS
        value = gate * math.prod(parts[name] ** weight for name, weight in weights.items())
        told = ", ".join(f"{name} {score:.2f}" for name, score in parts.items())
        return Measure(value, f"speech gate {gate:.2f} times {told}", {**details, **parts})

    def _parts(self, measures: Mapping[str, float], opinion: float) -> dict[str, float]:
        statistics = self.reference.statistics
        best = statistics["dnsmos_p808"].median
        share = (opinion - LOWEST_OPINION) / (best - LOWEST_OPINION)
        return {
            "naturalness": min(max(share, 0.0), 1.0),
            **{part: typicality(names, measures, statistics) for part, names in TWO_SIDED.items()},
        }
