"""What the pipeline asks of anything that speaks, be it a checkpoint or a reference voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from scoring.audio import Audio
from scoring.contract import Prompt, SynthesiserInfo


@dataclass(frozen=True)
class Utterance:
    """One prompt spoken, or the reason why it was not.

    ``index`` counts into the prompts that were given; ``audio`` is None exactly when ``failure``
    says why; ``truncated`` means that speech was cut at the cap.
    """

    index: int
    audio: Audio | None
    truncated: bool
    failure: str | None


class Synthesiser(Protocol):
    """Speaks prompts, yielding each as it is ready, in any order."""

    @property
    def info(self) -> SynthesiserInfo:
        """What speaks, down to the digest of its weights."""
        ...

    def speak(self, prompts: Sequence[Prompt]) -> Iterator[Utterance]:
        """Yield exactly one utterance for each prompt."""
        ...
