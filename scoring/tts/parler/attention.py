"""Attention over static caches: what is remembered, and rotary positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.tts.parler.config import DecoderConfig


@dataclass(frozen=True)
class KeyValueCache:
    """Keys and values of past positions.

    ``keys_values`` is (layers, rows, 2 × key-value heads, positions, head width): in each row the
    heads' keys, then their values, so that one write stores both.
    """

    keys_values: Tensor

    @classmethod
    def allocate(
        cls, config: DecoderConfig, heads: int, rows: int, positions: int, like: Tensor
    ) -> KeyValueCache:
        """A cache of zeros in float32 on the device of ``like``."""
        shape = (config.num_hidden_layers, rows, 2 * heads, positions, config.head_dim)
        if like.device.type == "cpu":
            # numpy asks the kernel for huge pages and torch does not: that saves a twentieth of
            # a step.
            return cls(torch.from_numpy(np.zeros(shape, np.float32)))
        return cls(like.new_zeros(shape, dtype=torch.float32))

    def row(self, index: int) -> KeyValueCache:
        """A view of one row, kept as a batch of one."""
        return KeyValueCache(self.keys_values[:, index : index + 1])

    def first(self, positions: int) -> KeyValueCache:
        """A view of the first positions of every row."""
        return KeyValueCache(self.keys_values[:, :, :, :positions])

    def clear(self) -> None:
        """Forget everything. A NaN left behind would spread even through a zero weight."""
        self.keys_values.zero_()


@dataclass(frozen=True)
class Memory:
    """What cross-attention hears: keys and values, and which positions are real.

    ``cache`` has a row for each distinct thing heard, ``mask``, (rows, 1, 1, positions), is 0 at
    real positions and -inf elsewhere, and ``row_of_slot`` (slots,) says who hears which. One
    single row is heard by every slot, without a copy.
    """

    cache: KeyValueCache
    mask: Tensor
    row_of_slot: Tensor

    @classmethod
    def allocate(
        cls, config: DecoderConfig, rows: int, slots: int, positions: int, like: Tensor
    ) -> Memory:
        """A memory in which every slot hears row 0 and that row is one position of zeros,
        because attention over nothing would be NaN."""
        heads = config.num_cross_attention_key_value_heads
        mask = like.new_full((rows, 1, 1, positions), -torch.inf)
        mask[..., 0] = 0
        return cls(
            KeyValueCache.allocate(config, heads, rows, positions, like),
            mask,
            torch.zeros(slots, dtype=torch.int64, device=like.device),
        )

    def of_slot(self, slot: int) -> Memory:
        """What one slot hears, as a memory of one row and one slot."""
        row = int(self.row_of_slot[slot])
        return Memory(self.cache.row(row), self.mask[row : row + 1], self.row_of_slot.new_zeros(1))

    def spread(self, rows: Tensor) -> Tensor:
        """(rows, …) of the memory as (slots, …)."""
        if rows.shape[0] == 1:
            return rows.expand(self.row_of_slot.shape[0], *rows.shape[1:])
        return rows.index_select(0, self.row_of_slot)


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines that rotate queries and keys, each (slots, 1, positions, head width)."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def at(cls, positions: Tensor, config: DecoderConfig, dtype: torch.dtype) -> Rotation:
        """RoPE's angles for (slots, positions) positions."""
        width = config.head_dim
        steps = torch.arange(0, width, 2, dtype=torch.int64, device=positions.device).float()
        frequencies = 1.0 / config.rope_theta ** (steps / width)
        angles = positions[..., None].float() * frequencies
        angles = torch.cat((angles, angles), dim=-1)[:, None]
        return cls(angles.cos().to(dtype), angles.sin().to(dtype))

    def apply(self, x: Tensor) -> Tensor:
        """Rotate x (slots, heads, positions, head width); RoPE, arXiv 2104.09864."""
        first, second = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat((-second, first), dim=-1) * self.sin


def split_heads(x: Tensor, width: int) -> Tensor:
    """(slots, positions, heads × width) to (slots, heads, positions, width)."""
    return x.view(*x.shape[:2], -1, width).transpose(1, 2)


def attend(queries: Tensor, keys_values: Tensor, mask: Tensor) -> Tensor:
    """Mix values by head, back to (slots, positions, hidden).

    ``keys_values`` is (slots, 2 × key-value heads, positions, width); heads may share them.
    ``mask`` is added to the scores.
    """
    keys, values = keys_values.chunk(2, dim=1)
    mixed = F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, enable_gqa=keys.shape[1] != queries.shape[1]
    )
    return mixed.transpose(1, 2).flatten(2)
