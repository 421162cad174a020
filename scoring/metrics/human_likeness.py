"""Human likeness in [0, 1]: does this sound like a recording of a person speaking?

    human likeness = gate x quality

The gate is the share of the recording that is speech, relative to what human recordings reach at
the least; so noise, buzz and music score nothing however clean they are. The quality is the mean
of two predicted opinion scores (DNSMOS P.808 and P.835 overall), each counted from the bottom of
the opinion scale up to the median of human recordings and no further: these predictors rank good
synthesis above people, so that more than the median tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from scoring.audio import Audio
from scoring.metrics.base import Measure
from scoring.metrics.dnsmos import Dnsmos
from scoring.metrics.human_reference import HumanReference, load_reference
from scoring.metrics.preparation import prepare
from scoring.metrics.speech_gate import speech_share

LOWEST_OPINION = 1.0
"""The bottom of the opinion scale ("bad", ITU-T P.800)."""


@dataclass(frozen=True)
class HumanLikeness:
    """The measure that the total score multiplies; its details are the parts it is made of."""

    reference: HumanReference = field(default_factory=load_reference)
    dnsmos: Dnsmos = field(default_factory=Dnsmos)
    name: str = "human_likeness"

    def measure(self, audio: Audio) -> Measure:
        """Raises UnscorableAudioError for what ``audio.check`` refuses."""
        samples = prepare(audio)
        share = speech_share(samples)
        opinion = self.dnsmos.opinion(samples)
        gate = min(share / self.reference.statistics["speech_share"].q05, 1.0)
        quality = (
            self._up_to_human("dnsmos_p808", opinion.p808)
            + self._up_to_human("dnsmos_overall", opinion.overall)
        ) / 2.0
        return Measure(
            value=gate * quality,
            explanation=(
                f"speech gate {gate:.2f} ({share:.0%} of the recording is speech) times quality "
                f"{quality:.2f} (opinion scores {opinion.p808:.2f} and {opinion.overall:.2f} of 5)"
            ),
            details={
                "gate": gate,
                "quality": quality,
                "speech_share": share,
                "dnsmos_p808": opinion.p808,
                "dnsmos_overall": opinion.overall,
                "dnsmos_signal": opinion.signal,
                "dnsmos_background": opinion.background,
            },
        )

    def _up_to_human(self, part: str, opinion: float) -> float:
        median = self.reference.statistics[part].median
        share = (opinion - LOWEST_OPINION) / (median - LOWEST_OPINION)
        return min(max(share, 0.0), 1.0)
