"""A recogniser unlike Whisper: an encoder over the waveform with a CTC output.

Audio made to please one recogniser rarely pleases another that was built, trained and decodes
differently. This one has no language model and no decoder that could finish a sentence by itself:
it writes down letters, one frame at a time (CTC; Graves et al., 2006).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    HubertForCTC,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from scoring.asr.base import SAMPLE_RATE
from scoring.asr.weights import files_digest, is_rehearsal, model_files
from scoring.asr.windows import windows
from scoring.audio import Audio, resample
from scoring.contract import AsrInfo, FailureCode
from scoring.errors import ScoringError
from scoring.torch_device import torch_device

# Named here and not by the checkpoint, so that no checkpoint picks the code that loads it.
ARCHITECTURES: Mapping[str, Any] = MappingProxyType(
    {"wav2vec2": Wav2Vec2ForCTC, "hubert": HubertForCTC}
)
WEIGHTS = "model.safetensors"
NEEDED = ("config.json", "preprocessor_config.json", "vocab.json", WEIGHTS)


@dataclass(frozen=True)
class Ctc:
    """A loaded model; ``transcribe`` is deterministic on one device."""

    info: AsrInfo
    model: Any
    features: Wav2Vec2FeatureExtractor
    tokenizer: Wav2Vec2CTCTokenizer

    @classmethod
    def load(cls, model: str, *, device: str) -> Ctc:
        """Load the checkpoint in the directory ``model``.

        Raises ScoringError: BAD_REQUEST where there is no such directory, ASSET_MISSING where
        files are missing, do not load or do not belong together, DEVICE_UNAVAILABLE.
        """
        torch_device(device)
        directory = Path(model)
        architecture = ARCHITECTURES[_model_type(directory)]
        try:
            loaded, report = architecture.from_pretrained(
                directory,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
            features = Wav2Vec2FeatureExtractor.from_pretrained(directory, local_files_only=True)
            tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(directory, local_files_only=True)
        except (OSError, ValueError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
            raise _unusable(directory, f"it does not load: {error}") from error
        if report["missing_keys"]:
            # transformers would fill them at random, and the recogniser would hear noise.
            raise _unusable(directory, f"{WEIGHTS} lacks {sorted(report['missing_keys'])[:3]}")
        if features.sampling_rate != SAMPLE_RATE:
            raise _unusable(directory, f"it listens at {features.sampling_rate} Hz")
        if loaded.config.vocab_size != len(tokenizer):
            raise _unusable(
                directory,
                f"it has {loaded.config.vocab_size} outputs and {len(tokenizer)} letters",
            )
        info = AsrInfo(
            engine="ctc",
            model=model,
            version=f"transformers {version('transformers')} (torch {version('torch')})",
            digest=files_digest(model_files(directory)),
            rehearsal=is_rehearsal(directory / WEIGHTS),
        )
        return cls(info, loaded.eval().to(device), features, tokenizer)

    def transcribe(self, audio: Audio) -> str:
        """The likeliest letter of each frame, window by window; empty where nothing is heard."""
        texts = [self._window(w) for w in windows(resample(audio, SAMPLE_RATE).samples)]
        return " ".join(text for text in texts if text)

    def transcribe_all(self, audios: Sequence[Audio]) -> list[str]:
        """One by one: beside longer audio it would be padded, which group norms hear."""
        return [self.transcribe(audio) for audio in audios]

    @torch.inference_mode()
    def _window(self, samples: Any) -> str:
        heard = self.features(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        logits = self.model(heard.input_values.to(self.model.device)).logits[0]
        # Collapsed here: the tokenizer would drop the blanks first, and with them double letters.
        path = torch.unique_consecutive(logits.argmax(dim=-1)).cpu()
        text: str = self.tokenizer.decode(path, group_tokens=False, skip_special_tokens=True)
        return text.strip()


def _model_type(directory: Path) -> str:
    if not directory.is_dir():
        raise ScoringError(
            FailureCode.BAD_REQUEST,
            f"{directory} is not a directory with a CTC recogniser",
            f"Name one with {', '.join(NEEDED)}.",
        )
    missing = [name for name in NEEDED if not (directory / name).is_file()]
    if missing:
        raise _unusable(directory, f"{', '.join(missing)} missing")
    try:
        config = json.loads((directory / "config.json").read_bytes())
    except ValueError as error:
        raise _unusable(directory, f"config.json is not JSON: {error}") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in ARCHITECTURES:
        raise _unusable(directory, f"its model_type is {kind!r}, not {' or '.join(ARCHITECTURES)}")
    return str(kind)


def _unusable(directory: Path, reason: str) -> ScoringError:
    return ScoringError(
        FailureCode.ASSET_MISSING,
        f"the CTC recogniser in {directory} cannot be used: {reason}",
        "Fetch a wav2vec 2.0 or HuBERT checkpoint with safetensors and a vocabulary.",
    )
