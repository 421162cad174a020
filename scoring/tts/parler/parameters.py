"""The decoder's weights: what a checkpoint must hold, and how they lie in memory for speed.

Names are those of the checkpoints that parler-tts writes. Matrices that are always multiplied by
the same input are joined into one, and so are the embeddings of all codebooks.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.tts.parler.config import ParlerConfig
from scoring.tts.parler.linear import Linear

_DECODER = "decoder.model.decoder."
_HEADS = "decoder.lm_heads."
_PROMPTS = "embed_prompts.weight"
_PROMPT_POSITIONS = "embed_positions.weights"
_PROJECTION = "enc_to_dec_proj."

Tensors = MutableMapping[str, Tensor]


@dataclass(frozen=True)
class Norm:
    """A layer norm over the hidden width."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


@dataclass(frozen=True)
class Layer:
    """One decoder layer. ``qkv`` holds queries, keys and values in this order, one below the
    other, and ``cross_kv`` keys and values."""

    self_norm: Norm
    qkv: Linear
    self_out: Linear
    cross_norm: Norm
    cross_q: Linear
    cross_kv: Linear
    cross_out: Linear
    ffn_norm: Norm
    fc1: Linear
    fc2: Linear


@dataclass(frozen=True)
class Parameters:
    """A decoder's weights, in float32 on one device.

    ``audio_table`` is (codebooks × (vocabulary + 1), hidden), ``heads`` gives codebooks ×
    vocabulary logits; ``positions``, ``prompt_positions`` and ``projection`` (weight and bias) are
    None in models without.
    """

    audio_table: Tensor
    positions: Tensor | None
    layers: tuple[Layer, ...]
    norm: Norm
    heads: Linear
    prompts: Tensor
    prompt_positions: Tensor | None
    projection: tuple[Tensor, Tensor] | None

    @classmethod
    def take(cls, tensors: Tensors, config: ParlerConfig) -> Parameters:
        """Move a checkpoint's tensors out of ``tensors``, which must hold all `decoder_shapes`.

        Each is let go as soon as it is joined, so there are never two copies of the whole.
        """
        decoder = config.decoder
        audio = [_codebook_table(k) for k in range(decoder.num_codebooks)]
        heads = [name for name in decoder_shapes(config) if name.startswith(_HEADS)]
        layers = range(decoder.num_hidden_layers)
        return cls(
            audio_table=_join(tensors, audio),
            positions=tensors.pop(f"{_DECODER}embed_positions.weights", None),
            layers=tuple(_take_layer(tensors, f"{_DECODER}layers.{i}.") for i in layers),
            norm=_take_norm(tensors, f"{_DECODER}layer_norm."),
            heads=Linear.of(_join(tensors, heads)),
            prompts=tensors.pop(_PROMPTS),
            prompt_positions=tensors.pop(_PROMPT_POSITIONS, None),
            projection=(tensors.pop(f"{_PROJECTION}weight"), tensors.pop(f"{_PROJECTION}bias"))
            if config.projects_encoder
            else None,
        )


def decoder_shapes(config: ParlerConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of everything in a checkpoint but text encoder and codec."""
    decoder = config.decoder
    hidden, vocabulary, codebooks = decoder.hidden_size, decoder.vocab_size, decoder.num_codebooks
    table = (decoder.max_position_embeddings, hidden)
    shapes: dict[str, tuple[int, ...]] = {_PROMPTS: (config.prompt_vocab_size, hidden)}
    shapes.update((_codebook_table(k), (vocabulary + 1, hidden)) for k in range(codebooks))
    if not decoder.rope_embeddings:
        shapes[f"{_DECODER}embed_positions.weights"] = table
    for index in range(decoder.num_hidden_layers):
        layer = f"{_DECODER}layers.{index}."
        for block, kv_heads in (
            ("self_attn", decoder.num_key_value_heads),
            ("encoder_attn", decoder.num_cross_attention_key_value_heads),
        ):
            for part in ("q", "out"):
                shapes[f"{layer}{block}.{part}_proj.weight"] = (hidden, hidden)
            for part in ("k", "v"):
                shapes[f"{layer}{block}.{part}_proj.weight"] = (kv_heads * decoder.head_dim, hidden)
            shapes.update(_norm_shapes(f"{layer}{block}_layer_norm.", hidden))
        shapes[f"{layer}fc1.weight"] = (decoder.ffn_dim, hidden)
        shapes[f"{layer}fc2.weight"] = (hidden, decoder.ffn_dim)
        shapes.update(_norm_shapes(f"{layer}final_layer_norm.", hidden))
    shapes.update(_norm_shapes(f"{_DECODER}layer_norm.", hidden))
    if decoder.use_fused_lm_heads:
        shapes[f"{_HEADS}weight"] = (codebooks * vocabulary, hidden)
    else:
        shapes.update((f"{_HEADS}{k}.weight", (vocabulary, hidden)) for k in range(codebooks))
    if config.prompt_cross_attention:
        shapes[_PROMPT_POSITIONS] = table
    if config.projects_encoder:
        shapes[f"{_PROJECTION}weight"] = (hidden, config.text_encoder.d_model)
        shapes[f"{_PROJECTION}bias"] = (hidden,)
    return shapes


def _codebook_table(codebook: int) -> str:
    return f"{_DECODER}embed_tokens.{codebook}.weight"


def _norm_shapes(prefix: str, hidden: int) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}weight": (hidden,), f"{prefix}bias": (hidden,)}


def _take_layer(tensors: Tensors, prefix: str) -> Layer:
    own, cross = f"{prefix}self_attn", f"{prefix}encoder_attn"
    return Layer(
        self_norm=_take_norm(tensors, f"{own}_layer_norm."),
        qkv=Linear.of(_join(tensors, [f"{own}.{part}_proj.weight" for part in "qkv"])),
        self_out=Linear.of(tensors.pop(f"{own}.out_proj.weight")),
        cross_norm=_take_norm(tensors, f"{cross}_layer_norm."),
        cross_q=Linear.of(tensors.pop(f"{cross}.q_proj.weight")),
        cross_kv=Linear.of(_join(tensors, [f"{cross}.{part}_proj.weight" for part in "kv"])),
        cross_out=Linear.of(tensors.pop(f"{cross}.out_proj.weight")),
        ffn_norm=_take_norm(tensors, f"{prefix}final_layer_norm."),
        fc1=Linear.of(tensors.pop(f"{prefix}fc1.weight")),
        fc2=Linear.of(tensors.pop(f"{prefix}fc2.weight")),
    )


def _take_norm(tensors: Tensors, prefix: str) -> Norm:
    return Norm(tensors.pop(f"{prefix}weight"), tensors.pop(f"{prefix}bias"))


def _join(tensors: Tensors, names: list[str]) -> Tensor:
    parts = [tensors.pop(name) for name in names]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
