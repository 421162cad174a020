"""One evaluation from request to result: speak, write, transcribe, measure, aggregate."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from scoring import audio
from scoring.contract import (
    Aggregate,
    FailureCode,
    ParlerModel,
    Prompt,
    Sample,
    SeededPrompts,
    TtsRequest,
    TtsResult,
)
from scoring.errors import ScoringError, UnscorableAudioError
from scoring.manifest import describe, write_manifest
from scoring.tts.ahead import one_ahead
from scoring.tts.judge import Judge, unscored
from scoring.tts.likelihood import measure
from scoring.tts.load import ask_base, load_synthesiser, sketched
from scoring.tts.prompts import delivery, prompts_digest, resolve
from scoring.tts.seeds import prompt_seed
from scoring.tts.synthesiser import Synthesiser, Utterance
from scoring.tts.total import aggregate

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


def evaluate(request: TtsRequest, out: Path, *, progress: Progress) -> TtsResult:
    """Carry out one evaluation; leave the audio in ``out / "audio"`` and ``out/manifest.json``.

    Raises ScoringError where there can be no score; its code says whose fault that is.
    """
    timings = Timings()
    prompts = resolve(request.prompts)
    likelihood = None
    if request.recordings is not None and isinstance(request.synthesiser, ParlerModel):
        # Before the model is loaded to speak: a device may have no room for two.
        with timings.stage("likelihood"):
            likelihood = measure(request.synthesiser, request.recordings, device=request.device)
    with timings.stage("sketch"):
        base = ask_base(request)
    with timings.stage("load_model"):
        synthesiser = load_synthesiser(request)
    with timings.stage("sketch"):
        synthesiser = sketched(synthesiser, base)
    with timings.stage("load_judge"):
        judge = Judge.load(request)
    result = score_prompts(
        request, prompts, synthesiser, judge, out, timings=timings, progress=progress
    )
    result = result.model_copy(update={"likelihood": likelihood})
    manifest = describe(request, result)
    write_manifest(manifest, out)
    return result.model_copy(update={"protocol_digest": manifest.protocol_digest})


def score_prompts(
    request: TtsRequest,
    prompts: tuple[Prompt, ...],
    synthesiser: Synthesiser,
    judge: Judge,
    out: Path,
    *,
    timings: Timings,
    progress: Progress,
) -> TtsResult:
    """Let ``synthesiser`` speak the ``prompts`` that ``request`` means, and ``judge`` score them.

    Raises ScoringError: TOO_MANY_FAILED_PROMPTS, DISK_FULL, and whatever speaking raises.
    """
    samples = _samples(request, prompts, synthesiser, judge, out, timings, progress)
    refuse_too_many_failures(samples)
    return TtsResult(
        status="COMPLETED",
        synthesiser=synthesiser.info,
        asr=judge.recogniser.info,
        second_asr=None if judge.second is None else judge.second.info,
        learned_mos=judge.likeness.learned and judge.likeness.learned.info,
        human_floor=judge.floor,
        prompts_digest=prompts_digest(prompts),
        aggregate=summarise(request, samples, floor=judge.floor),
        samples=samples,
        warnings=_warnings(request, synthesiser, judge),
        timings=timings.seconds,
    )


def summarise(request: TtsRequest, samples: Sequence[Sample], *, floor: float) -> Aggregate:
    """The evaluation in a few numbers, from its samples alone: whoever has them can repeat it."""
    asked = None
    if isinstance(request.prompts, SeededPrompts):
        asked = [delivery(request.prompts.seed, s.prompt.index) for s in samples]
    return aggregate(samples, seed=request.seed, floor=floor, asked=asked)


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
    # Never more utterances than prompts, whatever the synthesiser does.
    utterances: Iterator[Utterance] = islice(synthesiser.speak(prompts), len(prompts))
    if request.device != "cpu":
        # The processor judges while the GPU speaks; on a CPU alone the two would only compete.
        utterances = one_ahead(utterances)
    progress(0, len(prompts))
    while True:
        with timings.stage("speak"):
            utterance = next(utterances, None)
        if utterance is None:
            break
        prompt = prompts[utterance.index]
        with timings.stage("judge"):
            seed = prompt_seed(request.seed, prompt)
            samples[utterance.index] = _sample(utterance, prompt, judge, out, seed)
        progress(len(samples), len(prompts))
    silent = [prompt.index for n, prompt in enumerate(prompts) if n not in samples]
    if silent:
        raise ScoringError(
            FailureCode.EVALUATOR_ERROR,
            f"the engine never answered {len(silent)} prompts, the first being {silent[0]}",
            "Report this: it is a fault of the engine, whatever the model.",
        )
    return tuple(samples[n] for n in range(len(prompts)))


def _sample(utterance: Utterance, prompt: Prompt, judge: Judge, out: Path, seed: int) -> Sample:
    """Write one utterance down and score it; what cannot be scored is recorded with its reason.

    What is scored is the file, so that whoever has the file can score it again.
    """
    if utterance.audio is None:
        return unscored(prompt, utterance.failure or "the model produced no audio")
    name = f"audio/{prompt.index:05d}.wav"
    path = out / name
    try:
        audio.check(utterance.audio)
        audio.write_wav(path, utterance.audio)
        sample = judge.score(prompt, audio.read_audio(path), seed=seed)
    except UnscorableAudioError as error:
        path.unlink(missing_ok=True)
        return unscored(prompt, str(error))
    return sample.model_copy(
        update={
            "audio": name,
            "audio_digest": hashlib.sha256(path.read_bytes()).hexdigest(),
            "truncated": utterance.truncated,
        }
    )


def refuse_too_many_failures(samples: Sequence[Sample]) -> None:
    """Raise ScoringError TOO_MANY_FAILED_PROMPTS where the model failed on more than a tenth."""
    failed = [s for s in samples if s.outcome == "unscored"]
    # A single failure is bad luck even where it is more than the share, unless it is all there is.
    tolerated = max(MAX_FAILED_SHARE * len(samples), min(1, len(samples) - 1))
    if len(failed) > tolerated:
        raise ScoringError(
            FailureCode.TOO_MANY_FAILED_PROMPTS,
            f"the model failed on {len(failed)} of {len(samples)} prompts; "
            f"the first (prompt {failed[0].prompt.index}): {failed[0].reason}",
            "Speak the prompts yourself with scripts/evaluate_local.py and listen.",
        )


def _warnings(request: TtsRequest, synthesiser: Synthesiser, judge: Judge) -> tuple[str, ...]:
    warnings = judge.warnings()
    if isinstance(request.synthesiser, ParlerModel) and synthesiser.info.own_assets:
        warnings.append(
            "the checkpoint brought its own " + ", ".join(synthesiser.info.own_assets) + "; "
            "a real round uses the base model's"
        )
    return tuple(warnings)
