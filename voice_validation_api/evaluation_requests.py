"""What the workers ask the evaluator for, and when two answers may be compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from scoring.contract import (
    AsrSpec,
    ParlerModel,
    ReferenceVoice,
    SeededPrompts,
    TtsRequest,
    TtsResult,
)
from voice_validation_api.settings import WorkerSettings

COMPETITION: Final = "tts"
VOICES: Final = (
    ReferenceVoice(name="hibari"),
    ReferenceVoice(name="hibari-noise"),
    ReferenceVoice(name="hibari-wrong-text"),
)
"""Calibrate the scale: a good voice, a noisy one, and one that says something else."""


def model_request(settings: WorkerSettings, model_dir: Path, *, gpu: int | None) -> TtsRequest:
    """The request that evaluates the checkpoint in ``model_dir``."""
    model = ParlerModel(model_dir=model_dir, base_dir=settings.base_model_dir)
    return _request(settings, model, gpu=gpu)


def voice_request(
    settings: WorkerSettings, voice: ReferenceVoice, *, gpu: int | None
) -> TtsRequest:
    """The request that evaluates a reference voice on the same work."""
    return _request(settings, voice, gpu=gpu)


def request_digest(request: TtsRequest) -> str:
    """A sha256, in hex, of the work that is asked for, whoever does it on whatever device."""
    return _sha256(request.model_dump(mode="json", exclude={"synthesiser", "device"}))


def protocol_digest(request: TtsRequest, result: TtsResult) -> str:
    """A sha256, in hex, of all that a score depends on besides the model.

    ``result`` must be COMPLETED. Scores with different digests never share a ranking.
    """
    assert result.asr is not None
    return _sha256(
        {
            "contract": result.contract,
            "competition_id": result.competition_id,
            "request": request_digest(request),
            "prompts": result.prompts_digest,
            "asr": result.asr.model_dump(mode="json"),
        }
    )


def _request(
    settings: WorkerSettings, synthesiser: ParlerModel | ReferenceVoice, *, gpu: int | None
) -> TtsRequest:
    return TtsRequest(
        synthesiser=synthesiser,
        prompts=SeededPrompts(seed=settings.prompt_seed, count=settings.prompt_count),
        asr=AsrSpec(engine=settings.asr_engine, model=settings.asr_model),
        # The launcher shows an evaluator one GPU at most, whichever that is.
        device="cpu" if gpu is None else "cuda:0",
        max_seconds=settings.max_seconds,
    )


def _sha256(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
