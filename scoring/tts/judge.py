"""What turns audio into numbers; the same for every submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scoring import audio
from scoring.asr.base import Recogniser
from scoring.asr.load import load_recogniser
from scoring.asr.perturb import perturb
from scoring.contract import Prompt, Sample, TtsRequest, WordErrors
from scoring.metrics.base import Measure
from scoring.metrics.human_likeness import HumanLikeness
from scoring.metrics.learned_mos import LearnedMos
from scoring.metrics.wer import sample_wer, word_errors
from scoring.tts.cores import one_blas_thread
from scoring.tts.human_floor import floor_of, joint_floor
from scoring.tts.total import sample_score

MAX_TRANSCRIPT_CHARS = 10_000


@dataclass(frozen=True)
class Judge:
    """One or two recognisers, of which the one that hears worse counts, and human likeness."""

    recogniser: Recogniser
    second: Recogniser | None
    likeness: HumanLikeness

    @classmethod
    def load(cls, request: TtsRequest) -> Judge:
        """Load what ``request`` asks for. Raises ScoringError where that cannot be.

        numpy is told, for the whole process, to use one thread (`one_blas_thread`).
        """
        one_blas_thread()
        second = request.second_asr
        return cls(
            load_recogniser(request.asr, device=request.device),
            None if second is None else load_recogniser(second, device=request.device),
            _likeness(request),
        )

    @property
    def recognisers(self) -> tuple[Recogniser, ...]:
        """The one, or both."""
        return (self.recogniser,) if self.second is None else (self.recogniser, self.second)

    @cached_property
    def floor(self) -> float:
        """The word error rate on people, below which no credit is given."""
        return joint_floor([recogniser.info for recogniser in self.recognisers])

    def score(self, prompt: Prompt, spoken: audio.Audio, *, seed: int) -> Sample:
        """Score one piece of audio against the text it should say.

        ``seed`` names the perturbation. Raises UnscorableAudioError where the audio cannot be
        judged.
        """
        likeness = self.likeness.measure(spoken)
        (heard,) = self.hear([perturb(spoken, seed)])
        return self.sample(prompt, spoken.seconds, heard, likeness)

    def hear(self, perturbed: Sequence[audio.Audio]) -> list[tuple[str, ...]]:
        """What each recogniser hears in each audio, which passed ``audio.check`` unperturbed."""
        if not perturbed:
            return []
        heard = (recogniser.transcribe_all(perturbed) for recogniser in self.recognisers)
        return list(zip(*heard, strict=True))

    def sample(
        self, prompt: Prompt, seconds: float, heard: Sequence[str], likeness: Measure
    ) -> Sample:
        """The sample of a clip from what was heard in it and how human it is."""
        # Cut before counting, so that the errors are those of the transcript that is reported.
        transcripts = [text[:MAX_TRANSCRIPT_CHARS] for text in heard]
        errors = counted_errors(prompt.text, *transcripts)
        wer = sample_wer(errors)
        return Sample(
            prompt=prompt,
            outcome="scored",
            seconds=round(seconds, 3),
            transcript=transcripts[0],
            second_transcript=transcripts[1] if len(transcripts) > 1 else None,
            errors=errors,
            wer=wer,
            human_likeness=likeness.value,
            score=sample_score(wer, likeness.value, floor=self.floor),
            components=dict(likeness.details),
        )

    def warnings(self) -> list[str]:
        """What a reader of the word error rates must know of the recognisers."""
        warnings: list[str] = []
        for info in (recogniser.info for recogniser in self.recognisers):
            if info.rehearsal:
                warnings.append(
                    f"{info.model[:256]} is a rehearsal recogniser: "
                    "these word error rates are too coarse to rank real models"
                )
            if floor_of(info) is None:
                warnings.append(
                    f"nobody measured how often people are misheard by {info.model[:256]}: "
                    "all of its errors count; see scripts/measure_human_floor.py"
                )
        return warnings


def _likeness(request: TtsRequest) -> HumanLikeness:
    if request.learned_mos is None:
        return HumanLikeness()
    directory = Path(request.learned_mos.model)
    return HumanLikeness(learned=LearnedMos.load(directory, device=request.device))


def counted_errors(text: str, *transcripts: str) -> WordErrors:
    """The errors of the transcript that is furthest from ``text``; of equals, the first's."""
    return max((word_errors(text, heard) for heard in transcripts), key=lambda e: e.edits)


def unscored(prompt: Prompt, reason: str) -> Sample:
    """A prompt without a score: for the aggregate, every word of it is missing."""
    words = word_errors(prompt.text, "").words
    return Sample(
        prompt=prompt,
        outcome="unscored",
        reason=reason[:1_000],
        errors=WordErrors(substitutions=0, deletions=words, insertions=0, words=words),
    )
