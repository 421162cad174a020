"""What a metric takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from scoring.audio import Audio


@dataclass(frozen=True)
class Measure:
    """One figure, how it came about, and the parts it is made of."""

    value: float
    explanation: str
    details: Mapping[str, float] = field(default_factory=dict)


class Metric(Protocol):
    """Measures one piece of audio; the same audio always gives the same figures."""

    @property
    def name(self) -> str:
        """What reports call the figure."""
        ...

    def measure(self, audio: Audio) -> Measure:
        """Measure ``audio``. Raises UnscorableAudioError where it cannot be measured."""
        ...
