"""Write the golden files: what parler-tts 0.2.3 says with each miniature.

It runs in an environment of its own, never in CI, because parler-tts pins an old transformers.
From the repository's root, with Python 3.11:

    python3.11 -m venv var/reference
    var/reference/bin/pip install torch==2.13.0
    var/reference/bin/pip install parler-tts==0.2.3 pydantic
    PYTHONPATH=. var/reference/bin/python scripts/reference/make_goldens.py

torchaudio, which parler-tts's codec package imports and never uses here, does not load beside a
CPU torch; an empty module stands in for it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import types
from dataclasses import asdict
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_torchaudio = types.ModuleType("torchaudio")
_torchaudio.__version__ = "0"  # type: ignore[attr-defined]
_torchaudio.__spec__ = ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = _torchaudio

import torch  # noqa: E402 - after the stand-in
from parler_tts import ParlerTTSForConditionalGeneration  # noqa: E402
from transformers import AutoTokenizer, LogitsProcessor, LogitsProcessorList  # noqa: E402

from scoring.weights_digest import weights_digest  # noqa: E402
from scripts.make_miniature import MiniatureOptions, make_miniature  # noqa: E402

DESCRIPTION = "A female speaker with a warm voice speaks in a quiet room."
PROMPTS = (
    "The quick brown fox jumps over the lazy dog.",
    "She said hello and walked home.",
    "What time is it now?",
    "Never look down!",
    "This is a longer sentence that goes on for quite a while, because it should.",
    "No.",
    "Every year 1,024 people come back for water.",
    "I would like some more of that, please.",
)
# Greedy tokens are compared exactly on machines that round differently, so the best and second
# best logit must never lie closer than this.
MIN_MARGIN = 1e-3
VARIANTS: dict[str, MiniatureOptions] = {
    "sinusoidal": MiniatureOptions(),
    "rope": MiniatureOptions(positions="rope"),
    "grouped_heads": MiniatureOptions(key_value_heads=2, cross_key_value_heads=1),
    "rope_grouped_heads": MiniatureOptions(
        positions="rope", key_value_heads=1, cross_key_value_heads=2
    ),
    "fused_heads": MiniatureOptions(fused_heads=True),
    "prompt_cross_attention": MiniatureOptions(prompt_cross_attention=True),
    "projection": MiniatureOptions(text_width=32),
    "four_codebooks": MiniatureOptions(codebooks=4),
    "stray_ids": MiniatureOptions(stray_ids=True),
}


class _Margins(LogitsProcessor):
    """Passes scores through and keeps the smallest gap between the best and the second best."""

    def __init__(self) -> None:
        self.smallest = float("inf")

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        best = scores.topk(2, dim=-1).values
        self.smallest = min(self.smallest, float((best[:, 0] - best[:, 1]).min()))
        return scores


class Reference:
    """parler-tts with one checkpoint, one prompt at a time."""

    def __init__(self, directory: Path) -> None:
        self.model, report = ParlerTTSForConditionalGeneration.from_pretrained(
            directory, output_loading_info=True
        )
        assert not any(report.values()), report
        self.model.eval()
        self.tokenizer = AutoTokenizer.from_pretrained(directory)

    def greedy(self, prompt: str) -> dict[str, Any]:
        """Tokens handed to the codec, and how they came about."""
        grids, heard = [], []
        sample, decode = self.model._sample, self.model.audio_encoder.decode

        def sample_and_keep(*args: Any, **kwargs: Any) -> Any:
            grids.append(sample(*args, **kwargs))
            return grids[-1]

        def decode_and_keep(*args: Any, **kwargs: Any) -> Any:
            heard.append(kwargs["audio_codes"])
            return decode(*args, **kwargs)

        self.model._sample, self.model.audio_encoder.decode = sample_and_keep, decode_and_keep
        margins = _Margins()
        self._watch(margins)
        ids = self.tokenizer(prompt, return_tensors="pt").input_ids
        self.model.generate(
            input_ids=self.tokenizer(DESCRIPTION, return_tensors="pt").input_ids,
            prompt_input_ids=ids,
            do_sample=False,
        )
        self.model._sample, self.model.audio_encoder.decode = sample, decode
        codes = heard[0].reshape(heard[0].shape[-2:]) if heard else torch.zeros(0, 0)
        grid = grids[0]
        return {
            "prompt": prompt,
            "prompt_ids": ids[0].tolist(),
            "columns": grid.shape[1],
            "truncated": grid.shape[1] == self.model.generation_config.max_length,
            "codes": codes.tolist(),
            "margin": round(margins.smallest, 6),
        }

    def _watch(self, margins: _Margins) -> None:
        make = type(self.model)._get_logits_processor

        def with_margins(*args: Any, **kwargs: Any) -> LogitsProcessorList:
            return LogitsProcessorList([*make(self.model, *args, **kwargs), margins])

        self.model._get_logits_processor = with_margins
