"""A model's answers to the fixed questions, layer by layer and as a whole.

What a checkpoint computes can be written down in many ways: neurons and attention heads in another
order, gains moved from a norm into the matrix behind it, a head's values scaled up and its output
scaled down, the axes of the residual stream turned. So no matrix is looked at. Each block of each
layer is *run* on the same inputs, and what comes out is compared with the inputs by inner products
that all those rewritings leave alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.sketch.questions import Question, questions
from scoring.sketch.stream import fixed_numbers
from scoring.tts.parler.attention import KeyValueCache, Memory
from scoring.tts.parler.linear import Linear
from scoring.tts.parler.load import LoadedModel
from scoring.tts.parler.parameters import Layer

Floats = NDArray[np.float32]
HEAD_TOKENS = 32
"""Of each codebook's vocabulary, per question."""

_LAYER_TOKENS, _WHOLE_TOKENS = 2, 3


class Kind(IntEnum):
    """What a block of a decoder does. Fine-tuning changes them unevenly, noise evenly."""

    EMBEDDING = 0
    SELF_LOOKING = 1
    SELF_PASSING = 2
    CROSS_LOOKING = 3
    CROSS_PASSING = 4
    FEED_FORWARD = 5
    HEADS = 6


@dataclass(frozen=True)
class Answers:
    """What one model answers.

    ``blocks`` has a vector for each block of the decoder, in order; ``whole`` holds centred
    logits of the whole model for some tokens after each question.
    """

    blocks: tuple[tuple[Kind, Floats], ...]
    whole: Floats


@torch.inference_mode()
def answers_of(model: LoadedModel) -> Answers | None:
    """Ask ``model``. None where it cannot answer: no room, or numbers that are not finite."""
    asked = questions(model)
    if asked is None:
        return None
    blocks = tuple((kind, _flat(block)) for kind, block in _blocks(model, asked[-1]))
    whole = np.concatenate([_flat(_next_logits(model, question)) for question in asked])
    if not all(np.isfinite(part).all() for part in (whole, *(b for _, b in blocks))):
        return None
    return Answers(blocks, whole)


def _blocks(model: LoadedModel, question: Question) -> Iterator[tuple[Kind, Tensor]]:
    """The blocks' answers, each computed on the first layer's inputs."""
    decoder, width = model.decoder, model.config.decoder.head_dim
    x, states = question.inputs, question.states
    if decoder.parameters.positions is not None:
        x = x + decoder.parameters.positions[: x.shape[1]]
    # A norm takes away mean and length, so the whole stream may be scaled: answers are measured
    # in its own unit.
    unit = x.std(dim=-1).mean()
    axes = F.layer_norm(x, x.shape[-1:])[0]
    yield Kind.EMBEDDING, axes @ axes.T
    for layer in decoder.parameters.layers:
        own, cross = _self_attention(layer, x, width), _cross_attention(layer, x, states, width)
        yield Kind.SELF_LOOKING, own.looking
        yield Kind.SELF_PASSING, own.passing @ axes.T / unit
        yield Kind.CROSS_LOOKING, cross.looking
        yield Kind.CROSS_PASSING, cross.passing @ axes.T / unit
        yield Kind.FEED_FORWARD, decoder._feed_forward(layer, x)[0] @ axes.T / unit
    logits = decoder.parameters.heads(decoder.parameters.norm(x[0]))
    yield Kind.HEADS, _some_logits(model, logits, _LAYER_TOKENS)


@dataclass(frozen=True)
class _Attention:
    """Summed over heads: ``looking``, who looks at whom, (inputs, heard), and ``passing``, what is
    then passed on of each, (heard, hidden)."""

    looking: Tensor
    passing: Tensor

    @classmethod
    def of(cls, queries: Tensor, keys_values: Tensor, out: Linear) -> _Attention:
        """From queries (inputs, heads, width), and keys and values (heard, 2 × heads, width)."""
        keys, values = (
            half.repeat_interleave(queries.shape[1] // half.shape[1], dim=1).flatten(1)
            for half in keys_values.chunk(2, dim=1)
        )
        return cls(queries.flatten(1) @ keys.T, out(values))


def _self_attention(layer: Layer, x: Tensor, width: int) -> _Attention:
    mixed = layer.qkv(layer.self_norm(x)).view(x.shape[1], -1, width)
    heads = x.shape[2] // width
    return _Attention.of(mixed[:, :heads], mixed[:, heads:], layer.self_out)


def _cross_attention(layer: Layer, x: Tensor, states: Tensor, width: int) -> _Attention:
    queries = layer.cross_q(layer.cross_norm(x)).view(x.shape[1], -1, width)
    keys_values = layer.cross_kv(states).view(states.shape[1], -1, width)
    return _Attention.of(queries, keys_values, layer.cross_out)


def _next_logits(model: LoadedModel, question: Question) -> Tensor:
    """What the whole model thinks comes next after a question."""
    decoder, config = model.decoder, model.config.decoder
    states, inputs = question.states, question.inputs
    memory = Memory.allocate(config, 1, 1, states.shape[1], decoder.like)
    decoder.remember(states, memory, 0)
    length = inputs.shape[1]
    cache = KeyValueCache.allocate(config, config.num_key_value_heads, 1, length, decoder.like)
    positions = torch.arange(length, device=inputs.device)[None]
    logits = decoder(inputs, positions, cache, memory).flatten(1)
    return _some_logits(model, logits, _WHOLE_TOKENS)


def _some_logits(model: LoadedModel, logits: Tensor, stream: int) -> Tensor:
    """Logits (rows, codebooks × vocabulary) of fixed tokens of each codebook, centred: a constant
    added to all changes nothing, and neither do tokens that the codec does not know."""
    codebooks, known = model.config.decoder.num_codebooks, model.codec.config.codebook_size
    by_codebook = logits.view(len(logits), codebooks, -1)[..., :known]
    centred = by_codebook - by_codebook.mean(dim=-1, keepdim=True)
    tokens = fixed_numbers(stream, codebooks * HEAD_TOKENS) % np.uint64(known)
    index = torch.from_numpy(tokens.astype(np.int64)).view(1, codebooks, -1).to(logits.device)
    return centred.gather(-1, index.expand(len(logits), -1, -1))


def _flat(answer: Tensor) -> Floats:
    return answer.float().flatten().cpu().numpy()
