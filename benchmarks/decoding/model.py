"""A Parler-TTS checkpoint of a given size with random weights, which never ends by itself.

Ending is forbidden until the cap, so that every side of a comparison chooses the same number of
tokens.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from scoring.tts.parler.config import load_config
from scoring.tts.parler.load import expected_tensors
from scripts.make_miniature import make_miniature


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder, its text encoder and its codec; everything else is mini v1's."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    text_layers: int
    text_width: int
    codec_encoder_width: int
    codec_decoder_width: int


SHAPES = {
    # Faithful in everything but size: nine codebooks of 1,088 and heads as wide as mini v1's. The
    # codec is as small as can be, as the comparison leaves it out.
    "miniature": Shape(6, 256, 1_024, 4, 2, 256, 4, 16),
    "mini-v1": Shape(24, 1_024, 4_096, 16, 24, 1_024, 64, 1_536),
}


def make_checkpoint(out: Path, shape: Shape, *, columns: int) -> None:
    """Write a repository into ``out`` that parler-tts loads too and whose every utterance has
    ``columns`` columns."""
    make_miniature(out, seed=0)
    _edit(out / "config.json", lambda config: _resize(config, shape))
    _edit(
        out / "generation_config.json",
        lambda settings: settings.update(min_new_tokens=columns, max_length=columns),
    )
    random = np.random.default_rng(0)
    tensors = {
        name: _tensor(name, dimensions, random)
        for name, dimensions in expected_tensors(load_config(out)).items()
    }
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


def _resize(config: dict[str, Any], shape: Shape) -> None:
    config["decoder"].update(
        hidden_size=shape.hidden,
        ffn_dim=shape.ffn,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        num_cross_attention_key_value_heads=shape.heads,
        max_position_embeddings=4_096,
    )
    config["text_encoder"].update(
        d_model=shape.text_width,
        d_ff=2_816 * shape.text_width // 1_024,
        d_kv=64,
        num_heads=shape.text_width // 64,
        num_layers=shape.text_layers,
    )
    config["audio_encoder"].update(
        encoder_hidden_size=shape.codec_encoder_width, decoder_hidden_size=shape.codec_decoder_width
    )


def _tensor(
    name: str, dimensions: tuple[int, ...], random: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.float32]]:
    if "layer_norm" in name and name.endswith("weight"):
        return np.ones(dimensions, np.float32)
    spread = 1.0 if "embed" in name or len(dimensions) < 2 else 1 / math.sqrt(dimensions[1])
    return random.standard_normal(dimensions, np.float32) * np.float32(spread)


def _edit(path: Path, change: Any) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")
