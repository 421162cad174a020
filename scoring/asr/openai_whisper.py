"""Whisper through OpenAI's own package, an optional extra.

Its weights are pickles. torch loads them with ``weights_only``, which runs no code of theirs.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from scoring.asr.base import DECODING, SAMPLE_RATE
from scoring.asr.weights import files_digest, is_rehearsal
from scoring.asr.windows import windows
from scoring.audio import Audio, resample
from scoring.contract import AsrInfo, FailureCode
from scoring.errors import ScoringError
from scoring.torch_device import torch_device


@dataclass(frozen=True)
class OpenaiWhisper:
    """A loaded model; ``transcribe`` is deterministic on one device."""

    info: AsrInfo
    model: Any

    @classmethod
    def load(cls, model: str, *, device: str) -> OpenaiWhisper:
        """Load a Whisper size, or the one ``.pt`` file in a directory.

        Raises ScoringError: BAD_REQUEST for a name that is neither, ASSET_MISSING where the
        package or the weights are not there, DEVICE_UNAVAILABLE.
        """
        whisper = _package()
        torch_device(device)
        weights = _weights(whisper, model)
        try:
            loaded = whisper.load_model(str(weights), device=device)
        except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
            raise ScoringError(
                FailureCode.ASSET_MISSING,
                f"the Whisper weights {weights} do not load: {error}",
                "Fetch them again.",
            ) from error
        info = AsrInfo(
            engine="openai-whisper",
            model=model,
            version=whisper.__version__,
            digest=files_digest([weights]),
            rehearsal=is_rehearsal(weights),
        )
        return cls(info, loaded)

    def transcribe(self, audio: Audio) -> str:
        """The transcript, window by window; empty where Whisper hears no speech."""
        half = self.model.device.type == "cuda"
        texts = [
            self.model.transcribe(window, fp16=half, **DECODING)["text"].strip()
            for window in windows(resample(audio, SAMPLE_RATE).samples)
        ]
        return " ".join(text for text in texts if text)

    def transcribe_all(self, audios: Sequence[Audio]) -> list[str]:
        """One by one: the package skips silence and repeats what failed for one window only."""
        return [self.transcribe(audio) for audio in audios]


def _package() -> Any:
    try:
        return import_module("whisper")
    except ModuleNotFoundError as error:
        raise ScoringError(
            FailureCode.ASSET_MISSING,
            "the package openai-whisper is not installed",
            "Install the extra openai-whisper, or use the engine faster-whisper.",
        ) from error


def _weights(whisper: Any, model: str) -> Path:
    """The one file of weights in the directory ``model``, or in the cache of size ``model``."""
    directory = Path(model) if Path(model).is_dir() else _fetch(whisper, model)
    found = sorted(directory.glob("*.pt"))
    if len(found) != 1:
        raise ScoringError(
            FailureCode.ASSET_MISSING,
            f"{directory} holds {len(found)} .pt files where Whisper needs one",
            "Name a directory with the weights of one model.",
        )
    return found[0]


def _fetch(whisper: Any, size: str) -> Path:
    """A directory of the user's cache that holds this size alone, filled where it is empty."""
    if size not in whisper.available_models():
        raise ScoringError(
            FailureCode.BAD_REQUEST,
            f"{size!r} is neither a directory nor a Whisper size of openai-whisper",
            f"Name a directory, or one of: {', '.join(whisper.available_models())}.",
        )
    directory = Path.home() / ".cache" / "whisper" / size
    if not any(directory.glob("*.pt")):
        try:
            # The package downloads, and checks the sha256, only as a part of loading.
            whisper.load_model(size, device="cpu", download_root=str(directory))
        except (OSError, RuntimeError) as error:
            raise ScoringError(
                FailureCode.ASSET_MISSING,
                f"the Whisper weights {size} cannot be fetched: {error}",
                "Fetch them where there is a network and name their directory.",
            ) from error
    return directory
