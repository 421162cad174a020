"""Attention over a static cache: projections, rotary positions, and what is remembered."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.tts.parler.config import DecoderConfig


@dataclass(frozen=True)
class KeyValueCache:
    """Keys and values of past positions.

    Both are (layers, slots, key-value heads, positions, head width).
    """

    keys: Tensor
    values: Tensor

    @classmethod
    def allocate(
        cls, config: DecoderConfig, heads: int, slots: int, positions: int, like: Tensor
    ) -> KeyValueCache:
        """A cache of zeros with the dtype and device of ``like``."""
        shape = (config.num_hidden_layers, slots, heads, positions, config.head_dim)
        return cls(like.new_zeros(shape), like.new_zeros(shape))

    def slot(self, index: int) -> KeyValueCache:
        """A view of one slot, kept as a batch of one."""
        return KeyValueCache(self.keys[:, index : index + 1], self.values[:, index : index + 1])

    def first(self, positions: int) -> KeyValueCache:
        """A view of the first positions of every slot."""
        return KeyValueCache(self.keys[:, :, :, :positions], self.values[:, :, :, :positions])

    def clear(self) -> None:
        """Forget everything. A NaN left behind would spread even through a zero weight."""
        self.keys.zero_()
        self.values.zero_()


@dataclass(frozen=True)
class Memory:
    """What cross-attention sees: its keys and values, and which positions are real.

    ``mask`` is boolean, (slots, 1, 1, positions).
    """

    cache: KeyValueCache
    mask: Tensor

    def slot(self, index: int) -> Memory:
        """A view of one slot, kept as a batch of one."""
        return Memory(self.cache.slot(index), self.mask[index : index + 1])


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines that rotate queries and keys, each (slots, 1, positions, head width)."""

    cos: Tensor
    sin: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Rotate x (slots, heads, positions, head width); RoPE, arXiv 2104.09864."""
        first, second = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat((-second, first), dim=-1) * self.sin


class Attention(nn.Module):
    """Projections of one attention block; heads may share keys and values."""

    def __init__(self, config: DecoderConfig, kv_heads: int) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.k_proj = nn.Linear(config.hidden_size, kv_heads * config.head_dim, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_heads * config.head_dim, bias=False)
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def queries(self, x: Tensor, rotation: Rotation | None) -> Tensor:
        """(slots, positions, hidden) to (slots, heads, positions, head width), rotated if asked."""
        queries = self._split(self.q_proj(x))
        return queries if rotation is None else rotation.apply(queries)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(slots, positions, hidden) to keys and values by head."""
        return self._split(self.k_proj(x)), self._split(self.v_proj(x))

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Attention over masked keys, back to (slots, positions, hidden)."""
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, enable_gqa=keys.shape[1] != queries.shape[1]
        )
        output: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return output

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)
