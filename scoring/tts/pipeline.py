"""One evaluation from request to result: speak, write, transcribe, measure, aggregate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scoring import audio
from scoring.asr.base import Recogniser
from scoring.asr.load import load_recogniser
from scoring.asr.perturb import perturb
from scoring.contract import (
    FailureCode,
    ParlerModel,
    Prompt,
    Sample,
    TtsRequest,
    TtsResult,
    WordErrors,
)
from scoring.errors import ScoringError, UnscorableAudioError
from scoring.metrics.human_likeness import HumanLikeness
from scoring.metrics.wer import sample_wer, word_errors
from scoring.tts.load import load_synthesiser
from scoring.tts.prompts import prompts_digest, resolve
from scoring.tts.seeds import prompt_seed
from scoring.tts.synthesiser import Synthesiser, Utterance
from scoring.tts.total import aggregate, sample_score

# One bad prompt may be bad luck; a model that fails on more than this share cannot be run.
MAX_FAILED_SHARE = 0.1

Progress = Callable[[int, int], None]
"""Called with (prompts done, prompts in all)."""


@dataclass
class Timings:
    """Wall seconds spent in each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to the stage ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 4)


@dataclass(frozen=True)
class Judge:
    """Everything that turns audio into numbers; the same for every submission."""

    recogniser: Recogniser
    likeness: HumanLikeness

    def score(self, prompt: Prompt, spoken: audio.Audio, *, seed: int) -> Sample:
        """Score one piece of audio against the text it should say.

        Raises UnscorableAudioError where the audio cannot be judged.
        """
        audio.check(spoken)
        transcript = self.recogniser.transcribe(perturb(spoken, seed))
        errors = word_errors(prompt.text, transcript)
        wer = sample_wer(errors)
        likeness = self.likeness.measure(spoken)
        return Sample(
            prompt=prompt,
            outcome="scored",
            seconds=round(spoken.seconds, 3),
            transcript=transcript[:10_000],
            errors=errors,
            wer=wer,
            human_likeness=likeness.value,
            score=sample_score(wer, likeness.value),
            components=dict(likeness.details),
        )


def evaluate(request: TtsRequest, out: Path, *, progress: Progress) -> TtsResult:
    """Carry out one evaluation and leave the audio in ``out / "audio"``.

    Raises ScoringError where there can be no score; its code says whose fault that is.
    """
    timings = Timings()
    prompts = resolve(request.prompts)
    with timings.stage("load_model"):
        synthesiser = load_synthesiser(request)
    with timings.stage("load_judge"):
        judge = Judge(load_recogniser(request.asr, device=request.device), HumanLikeness())

    samples = _samples(request, prompts, synthesiser, judge, out, timings, progress)
    _refuse_too_many_failures(samples)
    return TtsResult(
        status="COMPLETED",
        synthesiser=synthesiser.info,
        asr=judge.recogniser.info,
        prompts_digest=prompts_digest(prompts),
        aggregate=aggregate(samples, seed=request.seed),
        samples=samples,
        warnings=_warnings(request, synthesiser, judge),
        timings=timings.seconds,
    )


def _samples(
    request: TtsRequest,
    prompts: tuple[Prompt, ...],
    synthesiser: Synthesiser,
    judge: Judge,
    out: Path,
    timings: Timings,
    progress: Progress,
) -> tuple[Sample, ...]:
    """Speak and score every prompt; the samples come back in the order of the prompts."""
    (out / "audio").mkdir(parents=True, exist_ok=True)
    samples: dict[int, Sample] = {}
    utterances = synthesiser.speak(prompts)
    progress(0, len(prompts))
    while len(samples) < len(prompts):
        with timings.stage("speak"):
            utterance = next(utterances)
        prompt = prompts[utterance.index]
        with timings.stage("judge"):
            seed = prompt_seed(request.seed, prompt)
            samples[utterance.index] = _sample(utterance, prompt, judge, out, seed)
        progress(len(samples), len(prompts))
    return tuple(samples[i] for i in range(len(prompts)))


def _sample(utterance: Utterance, prompt: Prompt, judge: Judge, out: Path, seed: int) -> Sample:
    """Write one utterance down and score it; what cannot be scored is recorded with its reason."""
    if utterance.audio is None:
        return _unscored(prompt, utterance.failure or "the model produced no audio")
    try:
        sample = judge.score(prompt, utterance.audio, seed=seed)
    except UnscorableAudioError as error:
        return _unscored(prompt, str(error))
    name = f"audio/{prompt.index:05d}.wav"
    audio.write_wav(out / name, utterance.audio)
    return sample.model_copy(update={"audio": name, "truncated": utterance.truncated})


def _unscored(prompt: Prompt, reason: str) -> Sample:
    """A prompt without a score: for the aggregate, every word of it is missing."""
    words = word_errors(prompt.text, "").words
    return Sample(
        prompt=prompt,
        outcome="unscored",
        reason=reason[:1_000],
        errors=WordErrors(substitutions=0, deletions=words, insertions=0, words=words),
    )


def _refuse_too_many_failures(samples: tuple[Sample, ...]) -> None:
    failed = [s for s in samples if s.outcome == "unscored"]
    if len(failed) > MAX_FAILED_SHARE * len(samples):
        raise ScoringError(
            FailureCode.TOO_MANY_FAILED_PROMPTS,
            f"the model failed on {len(failed)} of {len(samples)} prompts; "
            f"the first (prompt {failed[0].prompt.index}): {failed[0].reason}",
            "Speak the prompts yourself with scripts/evaluate_local.py and listen.",
        )


def _warnings(request: TtsRequest, synthesiser: Synthesiser, judge: Judge) -> tuple[str, ...]:
    warnings: list[str] = []
    if judge.recogniser.info.rehearsal:
        warnings.append(
            f"{judge.recogniser.info.model} is a rehearsal recogniser: "
            "these word error rates are too coarse to rank real models"
        )
    if isinstance(request.synthesiser, ParlerModel) and synthesiser.info.own_assets:
        warnings.append(
            "the checkpoint brought its own " + ", ".join(synthesiser.info.own_assets) + "; "
            "a real round uses the base model's"
        )
    return tuple(warnings)
