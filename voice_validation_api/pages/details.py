"""What the page of a submission shows beside its rows: parts of the score, prompts, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from voice_validation_api.pages.queries import PartSpread
from voice_validation_api.pages.word_errors import Marked, mark_errors
from voice_validation_api.records import JsonObject, Result, StoredSample
from voice_validation_api.status import AttemptOutcome

PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "gate": ("Speech", "share of the recording that is speech"),
    "naturalness": ("Naturalness", "opinion that listeners would have, up to that of people"),
    "intonation": ("Intonation", "spread, speed and roughness of the pitch"),
    "rate": ("Rate", "syllables per second and tempo"),
    "spectrum": ("Spectrum", "detail of the sound and how it changes"),
    "excitation": ("Excitation", "loudness, its rises and falls, noise in the pauses"),
    "pauses": ("Pauses", "how long and how many"),
    "distinct": ("Distinct", "prompts that are not the same recording as another"),
    "voices": ("Voices", "speakers can be told apart"),
    "follows_description": ("Follows description", "pitch, rate and energy move as asked"),
}
"""The parts of the score (docs/scoring.md), each from 0 to 1, in the order in which they are shown.
"""

OUTCOMES: Final[Mapping[AttemptOutcome | None, str]] = {
    None: "in progress",
    AttemptOutcome.COMPLETED: "scored",
    AttemptOutcome.FAILED: "failed: the submission is at fault",
    AttemptOutcome.RETRIED: "an error of ours; it is tried again",
    AttemptOutcome.PARKED: "an error of ours; an operator will look at it",
    AttemptOutcome.HANDED_BACK: "interrupted by us; it is tried again",
}


@dataclass(frozen=True)
class Part:
    """A part of the score beside the field. ``spread`` as in ``PartSpread``; None: no field."""

    label: str
    meaning: str
    value: float
    spread: tuple[float, float, float, float, float] | None


@dataclass(frozen=True)
class SpokenPrompt:
    """A prompt, what was said to it, and where that can be heard."""

    sample: StoredSample
    marked: Marked | None
    audio: str | None
    waveform: str | None

    @property
    def asked(self) -> dict[str, str]:
        """How the line was to be spoken, as texts."""
        names = ("emotion", "speaker", "description")
        return {name: str(self.sample.prompt.get(name) or "") for name in names}

    @property
    def counted(self) -> str:
        """The evaluator's own count of the errors in words."""
        errors = self.sample.errors or {}
        kinds = (("substitutions", "changed"), ("deletions", "missing"), ("insertions", "added"))
        told = [f"{errors[kind]} {word}" for kind, word in kinds if errors.get(kind)]
        return ", ".join(told) or "no errors"


def parts_of(result: Result, field: Iterable[PartSpread]) -> tuple[Part, ...]:
    """The parts that were measured, beside how they are in the field."""
    measured = aggregate_components(result.details)
    spreads = {part.name: part.spread for part in field}
    return tuple(
        Part(label, meaning, float(measured[name]), spreads.get(name))
        for name, (label, meaning) in PARTS.items()
        if name in measured
    )


def aggregate_components(details: JsonObject) -> JsonObject:
    """The components of an evaluation by name."""
    components: Any = (details.get("aggregate") or {}).get("components") or {}
    return {name: value for name, value in components.items() if value is not None}


def human_floor(result: Result | None) -> float:
    """The recogniser's word error rate on people; 0 where none was measured."""
    return 0.0 if result is None else float(result.details.get("human_floor") or 0.0)


def spoken(result: Result, samples: Iterable[StoredSample]) -> tuple[SpokenPrompt, ...]:
    """Samples of a result as they are shown."""
    return tuple(_spoken(result, sample) for sample in samples)


def _spoken(result: Result, sample: StoredSample) -> SpokenPrompt:
    marked = None
    if sample.transcript is not None:
        marked = mark_errors(sample.text, sample.transcript)
    if sample.audio is None:
        return SpokenPrompt(sample, marked, None, None)
    base = f"/submissions/{result.submission_id}"
    of = f"{sample.prompt_index}?prompts_digest={result.prompts_digest}"
    return SpokenPrompt(sample, marked, f"{base}/audio/{of}", f"{base}/waveform/{of}")
