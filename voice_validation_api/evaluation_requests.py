"""What the workers ask the evaluator for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from scoring.contract import (
    AsrSpec,
    CtcSpec,
    LearnedMosSpec,
    ListedPrompts,
    ParlerModel,
    Prompt,
    ReferenceVoice,
    SeededPrompts,
    TtsRequest,
)
from voice_validation_api.settings import WorkerSettings

COMPETITION: Final = "tts"
VOICES: Final = (
    ReferenceVoice(name="hibari"),
    ReferenceVoice(name="hibari-noise"),
    ReferenceVoice(name="hibari-wrong-text"),
)
"""Calibrate the scale: a good voice, a noisy one, and one that says something else."""

CANARY_VOICE: Final = ReferenceVoice(name="hibari")
CANARY_PROMPTS: Final = ListedPrompts(
    prompts=tuple(
        Prompt(index=index, text=text, description=description)
        for index, (text, description) in enumerate(
            (
                (
                    "The lighthouse keeper wrote one letter every evening before the lamp was lit.",
                    "A calm woman speaks slowly and clearly in a quiet room.",
                ),
                (
                    "Could you hand me the blue notebook from the second shelf, please?",
                    "A friendly man asks a question at a moderate pace, recorded closely.",
                ),
                (
                    "We waited at the station for almost an hour, but the train never came.",
                    "A woman sounds a little disappointed; the recording is very clear.",
                ),
                (
                    "Nobody had expected rain in August, so all the windows were open.",
                    "A man tells a story with slight expression and almost no noise.",
                ),
            )
        )
    )
)
"""What canaries say. A change of it makes a new canary, whose score nobody knows."""


def model_request(
    settings: WorkerSettings, model_dir: Path, revision: str, *, seed: str, gpu: int | None
) -> TtsRequest:
    """The request that evaluates the checkpoint in ``model_dir``, which holds ``revision``.

    ``seed`` names the prompts.
    """
    return _request(settings, _parler(settings, model_dir, revision), seed=seed, gpu=gpu)


def canary_request(settings: WorkerSettings, *, gpu: int | None) -> TtsRequest:
    """The request that evaluates the canary: a checkpoint, or else a packaged voice."""
    canary = settings.canary_dir
    model = _parler(settings, canary) if canary else CANARY_VOICE
    request = _request(settings, model, seed=settings.prompt_seed, gpu=gpu)
    return request.model_copy(update={"prompts": CANARY_PROMPTS})


def voice_request(
    settings: WorkerSettings, voice: ReferenceVoice, *, seed: str, gpu: int | None
) -> TtsRequest:
    """The request that evaluates a reference voice on the same work."""
    return _request(settings, voice, seed=seed, gpu=gpu)


def request_digest(request: TtsRequest) -> str:
    """A sha256, in hex, of the work that is asked for, whoever does it on whatever device."""
    work = request.model_dump(mode="json", exclude={"synthesiser", "device"})
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()


def _parler(settings: WorkerSettings, model_dir: Path, revision: str | None = None) -> ParlerModel:
    base = settings.base_model_dir
    # The evaluator works in another directory.
    return ParlerModel(
        model_dir=model_dir.resolve(),
        base_dir=base.resolve() if base is not None else None,
        revision=revision,
    )


def _request(
    settings: WorkerSettings,
    synthesiser: ParlerModel | ReferenceVoice,
    *,
    seed: str,
    gpu: int | None,
) -> TtsRequest:
    second, learned = settings.second_asr_model, settings.learned_mos_dir
    return TtsRequest(
        synthesiser=synthesiser,
        prompts=SeededPrompts(seed=seed, count=settings.prompt_count),
        asr=AsrSpec(engine=settings.asr_engine, model=_asr_model(settings.asr_model)),
        second_asr=CtcSpec(model=str(second.resolve())) if second is not None else None,
        learned_mos=LearnedMosSpec(model=str(learned.resolve())) if learned is not None else None,
        # The launcher shows an evaluator one GPU at most, whichever that is.
        device="cpu" if gpu is None else "cuda:0",
        max_seconds=settings.max_seconds,
    )


def _asr_model(name: str) -> str:
    # A directory is given from where the worker was started.
    return str(Path(name).resolve()) if Path(name).is_dir() else name
