"""Make a miniature Parler-TTS repository: the real architecture, a few MB, random weights.

    python scripts/make_miniature.py --out var/miniature --seed 1

It holds everything a published repository holds: config, generation config, tokenizer and
safetensors; parler-tts loads it too. It speaks noise: tokens are chosen by random weights. Only
ending is built in as training would: once a codebook has ended, the next one ends a column later.
The same options give the same weights on every machine.
"""

from __future__ import annotations

import argparse
import json
import math
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from scoring.tts.parler.config import load_config
from scoring.tts.parler.load import expected_tensors

Array = NDArray[np.float64]

LETTERS = string.ascii_lowercase + string.digits + string.punctuation
HIDDEN = 64
TEXT_HEAD_WIDTH = 16
CODEBOOK_SIZE = 1_024
VOCABULARY = 1_088
PAD = EOS = CODEBOOK_SIZE
BOS = CODEBOOK_SIZE + 1
_TOKEN_IDS = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
# Gains that make greedy and sampled tokens wander instead of repeating, found by trial.
ATTENTION_GAIN = 2.0
EMBEDDING_SCALE = 0.5
HEAD_SCALE = 0.35
# Every token pushes along one direction at random; when a column's pushes add up far enough, the
# first codebook ends. Found by trial: a few seconds of audio as a rule.
END_PUSH = 7.0
END_HEAD = 2.0
# How strongly an ended codebook pulls the next one after it.
END_PULL = 12.0
OUTPUT_GAIN = 0.02


@dataclass(frozen=True)
class MiniatureOptions:
    """What a miniature looks like. ``text_width`` other than 64 adds the projection between text
    encoder and decoder; ``stray_ids`` lets it choose ids beyond the codec's codebooks."""

    positions: Literal["sinusoidal", "rope"] = "sinusoidal"
    codebooks: int = 9
    key_value_heads: int = 4
    cross_key_value_heads: int = 4
    fused_heads: bool = False
    prompt_cross_attention: bool = False
    text_width: int = HIDDEN
    codec: Literal["dac", "dac_on_the_hub"] = "dac"
    stray_ids: bool = False
    min_new_tokens: int = 43
    max_length: int = 345


def make_miniature(out: Path, *, seed: int, options: MiniatureOptions = MiniatureOptions()) -> None:
    """Write a miniature repository into the directory ``out``, which is made if need be."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(out / "tokenizer.json"))
    _write_json(out / "tokenizer_config.json", {"tokenizer_class": "T5Tokenizer", "extra_ids": 0})
    _write_json(out / "config.json", _config(options, tokenizer.get_vocab_size()))
    _write_json(out / "generation_config.json", _generation_config(options))
    random = np.random.RandomState(seed)
    shapes = expected_tensors(load_config(out))
    tensors = {name: _tensor(name, shapes[name], random, options) for name in sorted(shapes)}
    if options.codec == "dac_on_the_hub":
        tensors = _with_weight_norm(tensors)
    stored = {name: np.ascontiguousarray(t, dtype=np.float16) for name, t in tensors.items()}
    (out / "model.safetensors").write_bytes(save(stored, metadata={"format": "pt"}))


def _config(options: MiniatureOptions, text_vocabulary: int) -> dict[str, Any]:
    return {
        "architectures": ["ParlerTTSForConditionalGeneration"],
        "audio_encoder": _codec_config(options),
        "decoder": {
            "activation_function": "gelu",
            "ffn_dim": 2 * HIDDEN,
            "hidden_size": HIDDEN,
            "max_position_embeddings": 1_024,
            "model_type": "parler_tts_decoder",
            "num_attention_heads": 4,
            "num_codebooks": options.codebooks,
            "num_cross_attention_key_value_heads": options.cross_key_value_heads,
            "num_hidden_layers": 2,
            "num_key_value_heads": options.key_value_heads,
            "rope_embeddings": options.positions == "rope",
            "use_fused_lm_heads": options.fused_heads,
            "vocab_size": VOCABULARY,
            **_TOKEN_IDS,
        },
        "is_encoder_decoder": True,
        "model_type": "parler_tts",
        "prompt_cross_attention": options.prompt_cross_attention,
        "text_encoder": {
            "d_ff": 2 * options.text_width,
            "d_kv": TEXT_HEAD_WIDTH,
            "d_model": options.text_width,
            "feed_forward_proj": "gated-gelu",
            "model_type": "t5",
            "num_heads": 4,
            "num_layers": 2,
            "vocab_size": text_vocabulary,
        },
        "transformers_version": "4.46.1",
        "vocab_size": text_vocabulary,
    }


def _codec_config(options: MiniatureOptions) -> dict[str, Any]:
    if options.codec == "dac_on_the_hub":
        return {
            "codebook_size": CODEBOOK_SIZE,
            "frame_rate": 86,
            "latent_dim": 1_024,
            "model_bitrate": 8,
            "model_type": "dac_on_the_hub",
            "num_codebooks": options.codebooks,
            "sampling_rate": 44_100,
        }
    return {
        "codebook_dim": 8,
        "codebook_size": CODEBOOK_SIZE,
        "decoder_hidden_size": 64,
        "downsampling_ratios": [2, 4, 8, 8],
        "encoder_hidden_size": 4,
        "model_type": "dac",
        "n_codebooks": options.codebooks,
        "sampling_rate": 44_100,
    }


def _generation_config(options: MiniatureOptions) -> dict[str, Any]:
    return {
        "decoder_start_token_id": BOS,
        "do_sample": True,
        "guidance_scale": 1,
        "max_length": options.max_length,
        "min_new_tokens": options.min_new_tokens,
        **_TOKEN_IDS,
    }


def _tensor(
    name: str, shape: tuple[int, ...], random: np.random.RandomState, options: MiniatureOptions
) -> Array:
    """Random weights for one tensor, with a spread that its place in the model asks for."""
    if name.endswith("embed_positions.weights"):
        return _sinusoids(*shape)
    if ".lm_heads." in name:
        return _heads(name, shape, random, options)
    if name.startswith("decoder.") and ".embed_tokens." in name:
        return _audio_embedding(shape, random, options)
    if "layer_norm" in name or name.endswith((".alpha", ".bias")):
        return np.full(shape, 0.0 if name.endswith(".bias") else 1.0)
    return _uniform(random, shape, _spread(name, shape))


def _spread(name: str, shape: tuple[int, ...]) -> float:
    if name.startswith("audio_encoder."):
        return _codec_spread(shape)
    if "embed" in name or "shared" in name or "relative_attention_bias" in name:
        return 1.0
    gain = 1.0
    if name.endswith(("q_proj.weight", "k_proj.weight")):
        gain = ATTENTION_GAIN
    elif name.endswith("SelfAttention.q.weight"):
        gain = TEXT_HEAD_WIDTH**-0.5  # T5 does not scale its attention scores
    return gain / math.sqrt(shape[1])


def _audio_embedding(
    shape: tuple[int, ...], random: np.random.RandomState, options: MiniatureOptions
) -> Array:
    table = _uniform(random, shape, EMBEDDING_SCALE)
    push = END_PUSH / math.sqrt(options.codebooks)
    table += _uniform(random, (shape[0], 1), push) * _direction(period=4)
    table[PAD] = END_PULL * math.sqrt(HIDDEN) * _direction(period=2)
    return table


def _heads(
    name: str, shape: tuple[int, ...], random: np.random.RandomState, options: MiniatureOptions
) -> Array:
    heads = _uniform(random, shape, HEAD_SCALE)
    rows = heads.reshape(-1, VOCABULARY, HIDDEN)
    if not options.stray_ids:
        rows[:, EOS + 1 :] = 0
    for index, row in enumerate(rows):
        codebook = index if options.fused_heads else int(name.split(".")[2])
        row[EOS] = END_HEAD * _direction(period=4) if codebook == 0 else 3 * _direction(period=2)
    return heads


def _direction(*, period: int) -> Array:
    """A unit vector without mean, which layer norm keeps; other periods are at right angles."""
    return np.tile(np.repeat([1.0, -1.0], period // 2), HIDDEN // period) / math.sqrt(HIDDEN)


def _codec_spread(shape: tuple[int, ...]) -> float:
    """A spread that carries a signal through the codec at a level fit for hearing."""
    if len(shape) == 2:  # a codebook
        return 1.0
    if shape[2] % 2 == 0:  # a transposed convolution, of whose kernel two taps meet a sample
        return 1.0 / math.sqrt(2 * shape[0])
    if shape[0] == 1:  # the last convolution
        return OUTPUT_GAIN / math.sqrt(math.prod(shape[1:]))
    residual = shape[2] == 1 and shape[0] == shape[1]
    return (0.3 if residual else 1.0) / math.sqrt(math.prod(shape[1:]))


def _uniform(random: np.random.RandomState, shape: tuple[int, ...], spread: float) -> Array:
    """Uniform with standard deviation ``spread``: no logarithm whose last bit may differ."""
    return (random.random_sample(shape) * 2 - 1) * (spread * math.sqrt(3))


def _sinusoids(positions: int, width: int) -> Array:
    """Cosines, then sines, at frequencies from 1 down to 1/10000, as parler-tts makes them."""
    angles = np.arange(positions)[:, None] * np.geomspace(1, 1e-4, width // 2)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def _with_weight_norm(tensors: dict[str, Array]) -> dict[str, Array]:
    """Split the codec's convolutions into magnitude and direction, as descript publishes them."""
    split = {}
    for name, tensor in tensors.items():
        if name.startswith("audio_encoder.") and name.endswith(".weight") and tensor.ndim == 3:
            module = name.removesuffix("weight")
            split[f"{module}weight_g"] = np.sqrt((tensor**2).sum(axis=(1, 2), keepdims=True))
            split[f"{module}weight_v"] = 2 * tensor  # its length does not count
        else:
            split[name] = tensor
    return split


_SPECIAL = ("<pad>", "</s>", "<unk>")
_WORDS = (
    "a and are as at back be but by can clear day do down even every far fast female first for "
    "from go good have he hear her his home how i in is it like little long look low male me more "
    "much never no of on one or out over people quiet room said she should slow so speaker that "
    "the them they this time to tone two very voice warm was water we what when where with you"
)


def _tokenizer() -> Tokenizer:
    """A T5-like unigram tokenizer in which whole words are likelier than their letters."""
    tokenizer = Tokenizer(
        models.Unigram(
            [(special, 0.0) for special in _SPECIAL]
            + [(f"▁{word}", -6.0) for word in _WORDS.split()]
            + [(letter, -10.0) for letter in "▁" + LETTERS],
            unk_id=_SPECIAL.index("<unk>"),
        )
    )
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", _SPECIAL.index("</s>"))]
    )
    return tokenizer


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and make the miniature."""
    parser = argparse.ArgumentParser(description="Make a miniature Parler-TTS repository.")
    parser.add_argument("--out", type=Path, required=True, help="directory to write into")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--positions", choices=("sinusoidal", "rope"), default="sinusoidal")
    parser.add_argument("--codebooks", type=int, choices=(4, 9), default=9)
    given = parser.parse_args(arguments)
    options = MiniatureOptions(positions=given.positions, codebooks=given.codebooks)
    make_miniature(given.out, seed=given.seed, options=options)
    print(f"made a miniature with seed {given.seed} in {given.out}")


if __name__ == "__main__":
    main()
