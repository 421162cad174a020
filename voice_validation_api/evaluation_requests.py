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
    ParlerModel,
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


def model_request(
    settings: WorkerSettings, model_dir: Path, revision: str, *, gpu: int | None
) -> TtsRequest:
    """The request that evaluates the checkpoint in ``model_dir``, which holds ``revision``."""
    base = settings.base_model_dir
    model = ParlerModel(
        model_dir=model_dir,
        # The evaluator works in another directory.
        base_dir=base.resolve() if base is not None else None,
        revision=revision,
    )
    return _request(settings, model, gpu=gpu)


def voice_request(
    settings: WorkerSettings, voice: ReferenceVoice, *, gpu: int | None
) -> TtsRequest:
    """The request that evaluates a reference voice on the same work."""
    return _request(settings, voice, gpu=gpu)


def request_digest(request: TtsRequest) -> str:
    """A sha256, in hex, of the work that is asked for, whoever does it on whatever device."""
    work = request.model_dump(mode="json", exclude={"synthesiser", "device"})
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()


def _request(
    settings: WorkerSettings, synthesiser: ParlerModel | ReferenceVoice, *, gpu: int | None
) -> TtsRequest:
    second, learned = settings.second_asr_model, settings.learned_mos_dir
    return TtsRequest(
        synthesiser=synthesiser,
        prompts=SeededPrompts(seed=settings.prompt_seed, count=settings.prompt_count),
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
