"""The Parler-TTS decoder as pure functions of tensors: no loop, no sampling, no files.

Every forward pass works on a batch of slots, each at positions of its own, and writes its keys
and values into a static cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.tts.parler.attention import (
    KeyValueCache,
    Memory,
    Rotation,
    Sight,
    attend,
    split_heads,
)
from scoring.tts.parler.config import ParlerConfig
from scoring.tts.parler.parameters import Layer, Parameters

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


@dataclass(frozen=True)
class ParlerDecoder:
    """Everything of a Parler-TTS model but its text encoder and codec."""

    config: ParlerConfig
    parameters: Parameters

    @property
    def like(self) -> Tensor:
        """A tensor with the dtype and device of all others."""
        return self.parameters.audio_table

    def described(self, encoded: Tensor) -> Tensor:
        """The text encoder's output for a description, (1, positions, width), as cross-attention
        reads it: (1, positions, hidden)."""
        projection, heard = self.parameters.projection, encoded.to(self.like.dtype)
        return heard if projection is None else F.linear(heard, *projection)

    def memory_states(self, described: Tensor, prompt_ids: Tensor) -> Tensor:
        """All that cross-attention reads, (1, positions, hidden).

        ``prompt_ids`` (1, positions) joins the description where the model hears the prompt
        through cross-attention; elsewhere the description itself is the answer.
        """
        positions = self.parameters.prompt_positions
        if positions is None:
            return described
        prompt = F.embedding(prompt_ids, self.parameters.prompts)
        return torch.cat((described, prompt + positions[: prompt.shape[1]]), dim=1)

    def remember(self, states: Tensor, memory: Memory, row: int) -> None:
        """Write the cross-attention keys and values of ``states`` into one row of ``memory``."""
        length = states.shape[1]
        cache = memory.cache.row(row)
        cache.clear()
        memory.filled[row] = length
        for layer, into in zip(self.parameters.layers, cache.keys_values, strict=True):
            into[:, :, :length] = self._split(layer.cross_kv(states))

    def prefix(self, prompt_ids: Tensor, columns: Tensor) -> Tensor:
        """Input of the first pass, (1, positions, hidden): the prompt, if it is prepended, then
        the first columns of ids, (1, codebooks, columns), delay pattern included."""
        start = self.embed(columns.transpose(1, 2))
        if self.config.prompt_cross_attention:
            return start
        return torch.cat((F.embedding(prompt_ids, self.parameters.prompts), start), dim=1)

    def embed(self, ids: Tensor) -> Tensor:
        """The sum over codebooks of (slots, positions, codebooks) ids: (slots, positions,
        hidden)."""
        rows = (ids + self._table_starts).flatten(0, 1)
        summed = F.embedding_bag(rows, self.parameters.audio_table, mode="sum")
        return summed.view(*ids.shape[:2], -1)

    def __call__(
        self, inputs: Tensor, positions: Tensor, cache: KeyValueCache, memory: Memory
    ) -> Tensor:
        """Logits of each slot's last input, (slots, codebooks, vocabulary), in float32.

        ``inputs`` is (slots, steps, hidden) and ``positions`` (slots, steps) says where in
        ``cache`` each goes; a position sees itself and all before it in its own slot.
        """
        config, parameters = self.config.decoder, self.parameters
        x = inputs
        rotation = None
        if parameters.positions is None:
            rotation = Rotation.at(positions, config, x.dtype)
        else:
            x = x + F.embedding(positions, parameters.positions)
        seen = Sight.of(None, positions + 1, cache=cache, inputs=x)
        heard = memory.sight(x)
        for index, layer in enumerate(parameters.layers):
            own, said = cache.keys_values[index], memory.cache.keys_values[index]
            x = x + self._self_attention(layer, x, rotation, own, seen)
            x = x + self._cross_attention(layer, x, rotation, said, heard)
            x = x + self._feed_forward(layer, x)
        logits = parameters.heads(parameters.norm(x[:, -1]))
        return logits.view(x.shape[0], config.num_codebooks, -1).float()

    def _self_attention(
        self,
        layer: Layer,
        x: Tensor,
        rotation: Rotation | None,
        keys_values: Tensor,
        sight: Sight,
    ) -> Tensor:
        config = self.config.decoder
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        mixed = self._split(layer.qkv(layer.self_norm(x)))
        queries, fresh = mixed[:, :heads], mixed[:, heads:]
        if rotation is not None:
            turned = rotation.apply(mixed[:, : heads + kv_heads])
            queries = turned[:, :heads]
            fresh = torch.cat((turned[:, heads:], fresh[:, kv_heads:]), dim=1)
        return layer.self_out(attend(queries, keys_values, sight, fresh))

    def _cross_attention(
        self,
        layer: Layer,
        x: Tensor,
        rotation: Rotation | None,
        keys_values: Tensor,
        sight: Sight,
    ) -> Tensor:
        queries = self._split(layer.cross_q(layer.cross_norm(x)))
        if rotation is not None:
            # Queries are rotated here too and keys are not: so the models were trained.
            queries = rotation.apply(queries)
        return layer.cross_out(attend(queries, keys_values, sight))

    def _feed_forward(self, layer: Layer, x: Tensor) -> Tensor:
        activation = _ACTIVATIONS[self.config.decoder.activation_function]
        return layer.fc2(activation(layer.fc1(layer.ffn_norm(x))))

    def _split(self, x: Tensor) -> Tensor:
        return split_heads(x, self.config.decoder.head_dim)

    @cached_property
    def _table_starts(self) -> Tensor:
        """Where each codebook's embeddings start in the joint table."""
        decoder = self.config.decoder
        codebooks = torch.arange(decoder.num_codebooks, device=self.like.device)
        return codebooks * (decoder.vocab_size + 1)
