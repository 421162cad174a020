"""One evaluation from request to result: load, speak and judge, aggregate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

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
from scoring.errors import ScoringError
from scoring.manifest import describe, write_manifest
from scoring.tts.clips import recorders
from scoring.tts.cores import usable_cores
from scoring.tts.judge import Judge
from scoring.tts.likelihood import measure
from scoring.tts.load import ask_base, load_synthesiser, sketched
from scoring.tts.pace import Pace, recorders_for
from scoring.tts.prompts import delivery, prompts_digest, resolve
from scoring.tts.samples import Progress, samples_of
from scoring.tts.synthesiser import Synthesiser
from scoring.tts.timings import Timings
from scoring.tts.total import aggregate

# One bad prompt may be bad luck; a model that fails on more than this share cannot be run.
MAX_FAILED_SHARE = 0.1


def evaluate(request: TtsRequest, out: Path, *, progress: Progress) -> TtsResult:
    """Carry out one evaluation; leave the audio in ``out / "audio"`` and ``out/manifest.json``.

    Raises ScoringError where there can be no score; its code says whose fault that is.
    """
    prompts = resolve(request.prompts)
    count = min(recorders_for(request, cores=usable_cores()), len(prompts))
    # Begun first: they are ready by the time that the models are loaded.
    with recorders(count) as pool:
        result = _load_and_score(request, prompts, out, pool=pool, progress=progress)
    manifest = describe(request, result)
    write_manifest(manifest, out)
    return result.model_copy(update={"protocol_digest": manifest.protocol_digest})


def _load_and_score(
    request: TtsRequest,
    prompts: tuple[Prompt, ...],
    out: Path,
    *,
    pool: Executor | None,
    progress: Progress,
) -> TtsResult:
    timings = Timings()
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
        request, prompts, synthesiser, judge, out, timings=timings, progress=progress, pool=pool
    )
    return result.model_copy(update={"likelihood": likelihood})


def score_prompts(
    request: TtsRequest,
    prompts: tuple[Prompt, ...],
    synthesiser: Synthesiser,
    judge: Judge,
    out: Path,
    *,
    timings: Timings,
    progress: Progress,
    pace: Pace | None = None,
    pool: Executor | None = None,
) -> TtsResult:
    """Let ``synthesiser`` speak the ``prompts`` that ``request`` means, and ``judge`` score them.

    Nothing but the timings depends on ``pace``, chosen by device and cores where it is not given,
    and on ``pool``, the `recorders` where there are any.
    Raises ScoringError: TOO_MANY_FAILED_PROMPTS, DISK_FULL, and whatever speaking raises.
    """
    by_place = samples_of(
        request,
        prompts,
        synthesiser,
        judge,
        out,
        pace=pace or Pace.choose(request, cores=usable_cores()),
        pool=pool,
        timings=timings,
        progress=progress,
    )
    samples = _whole(by_place, prompts)
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


def _whole(samples: Mapping[int, Sample], prompts: Sequence[Prompt]) -> tuple[Sample, ...]:
    """The samples in the order of the prompts. Raises ScoringError where one is missing."""
    silent = [prompt.index for n, prompt in enumerate(prompts) if n not in samples]
    if silent:
        raise ScoringError(
            FailureCode.EVALUATOR_ERROR,
            f"the engine never answered {len(silent)} prompts, the first being {silent[0]}",
            "Report this: it is a fault of the engine, whatever the model.",
        )
    return tuple(samples[n] for n in range(len(prompts)))


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
