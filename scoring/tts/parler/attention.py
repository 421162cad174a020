"""Attention over static caches: what is remembered, and rotary positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.tts.parler import one_query
from scoring.tts.parler.config import DecoderConfig

# What is larger is used for so long that its making does not count.
MOST_SPARE_BYTES = 1 << 28


class SpareMemory:
    """The memory of one cache, kept for the next: on a CPU, fresh memory costs more time than what
    is written into it. Whoever takes it has it alone, in whatever thread."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    @property
    def nbytes(self) -> int:
        """How much is kept."""
        return sum(memory.nbytes for memory in self._kept)

    def take(self, numbers: int) -> Tensor | None:
        """(numbers,) of what is kept, whatever is in it. None, and nothing kept any more, if there
        is not so much."""
        try:
            kept = self._kept.pop()
        except IndexError:
            return None
        return kept[:numbers] if kept.numel() >= numbers else None

    def keep(self, cache: KeyValueCache) -> None:
        """Keep the memory of a cache that nobody uses any more, unless some is kept already or it
        is large. A GPU's is kept by torch itself."""
        memory = cache.keys_values
        # All of what it was made in, though it may have needed less.
        numbers = memory.untyped_storage().nbytes() // memory.element_size()
        whole = memory.as_strided((numbers,), (1,), 0)
        if memory.device.type == "cpu" and not self._kept and whole.nbytes <= MOST_SPARE_BYTES:
            self._kept.append(whole)


@dataclass(frozen=True)
class KeyValueCache:
    """Keys and values of past positions.

    ``keys_values`` is (layers, rows, 2 × key-value heads, positions, head width): in each row the
    heads' keys, then their values, so that one write stores both.
    """

    keys_values: Tensor

    @classmethod
    def allocate(
        cls,
        config: DecoderConfig,
        heads: int,
        rows: int,
        positions: int,
        like: Tensor,
        spare: SpareMemory | None = None,
    ) -> KeyValueCache:
        """A cache of zeros with the dtype and device of ``like``, in ``spare`` if it fits."""
        shape = (config.num_hidden_layers, rows, 2 * heads, positions, config.head_dim)
        kept = spare.take(math.prod(shape)) if spare is not None else None
        if kept is not None:
            return cls(kept.view(shape).zero_())
        if like.device.type == "cpu" and like.dtype == torch.float32:
            # numpy asks the kernel for huge pages and torch does not: that saves a twentieth of
            # a step.
            return cls(torch.from_numpy(np.zeros(shape, np.float32)))
        return cls(like.new_zeros(shape))

    def row(self, index: int) -> KeyValueCache:
        """A view of one row, kept as a batch of one."""
        return KeyValueCache(self.keys_values[:, index : index + 1])

    def upto(self, rows: int) -> KeyValueCache:
        """A view of the first rows."""
        return KeyValueCache(self.keys_values[:, :rows])

    def first(self, positions: int) -> KeyValueCache:
        """A view of the first positions of every row."""
        return KeyValueCache(self.keys_values[:, :, :, :positions])

    def clear(self) -> None:
        """Forget everything. A NaN left behind would spread even through a zero weight."""
        self.keys_values.zero_()


@dataclass(frozen=True)
class Sight:
    """What the queries of each slot see: query q of slot s the first ``lengths[s, q]`` positions,
    at least one, of row ``rows[s]`` of a cache.

    ``rows`` is (slots,), and may be None where each slot sees its own; ``lengths`` is (slots, 1 or
    queries). ``mask`` says the same for torch's kernel, (slots, 1, 1 or queries, positions), and
    is None where `one_query` serves, which needs the rows.
    """

    rows: Tensor | None
    lengths: Tensor
    mask: Tensor | None

    @classmethod
    def of(
        cls, rows: Tensor | None, lengths: Tensor, *, cache: KeyValueCache, inputs: Tensor
    ) -> Sight:
        """What the ``inputs`` (slots, queries, hidden) of one pass see of ``cache``."""
        if one_query.serves(inputs):
            own = torch.arange(len(inputs), device=inputs.device) if rows is None else rows
            return cls(own, lengths, None)
        place = torch.arange(cache.keys_values.shape[3], device=inputs.device)
        hidden = place >= lengths[:, None, :, None]
        mask = torch.zeros(hidden.shape, dtype=inputs.dtype, device=inputs.device)
        return cls(rows, lengths, mask.masked_fill_(hidden, -torch.inf))

    def spread(self, cache: Tensor) -> Tensor:
        """(rows, …) of a cache as (slots, …)."""
        if self.rows is None:
            return cache
        if cache.shape[0] == 1:
            return cache.expand(len(self.rows), *cache.shape[1:])
        return cache.index_select(0, self.rows)


@dataclass(frozen=True)
class Memory:
    """What cross-attention hears.

    ``cache`` has a row for each distinct thing heard, ``filled`` (rows,) says how many positions
    of each are real, and ``row_of_slot`` (slots,) who hears which.
    """

    cache: KeyValueCache
    filled: Tensor
    row_of_slot: Tensor

    @classmethod
    def allocate(
        cls, config: DecoderConfig, rows: int, slots: int, positions: int, like: Tensor
    ) -> Memory:
        """A memory in which every slot hears row 0 and every row is one position of zeros,
        because attention over nothing would be NaN."""
        heads = config.num_cross_attention_key_value_heads
        return cls(
            KeyValueCache.allocate(config, heads, rows, positions, like),
            torch.ones(rows, dtype=torch.int64, device=like.device),
            torch.zeros(slots, dtype=torch.int64, device=like.device),
        )

    def sight(self, inputs: Tensor) -> Sight:
        """What the ``inputs`` (slots, queries, hidden) of one pass hear."""
        lengths = self.filled[self.row_of_slot][:, None]
        return Sight.of(self.row_of_slot, lengths, cache=self.cache, inputs=inputs)


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


def attend(
    queries: Tensor, keys_values: Tensor, sight: Sight, fresh: Tensor | None = None
) -> Tensor:
    """Mix values by head, back to (slots, positions, hidden).

    ``queries`` is (slots, heads, positions, width), ``keys_values`` (rows, 2 × key-value heads,
    positions, width); heads may share them. ``fresh``, the queries' own keys and values (slots,
    2 × key-value heads, queries, width), are first written where each query's sight ends.
    """
    if sight.mask is None:
        assert sight.rows is not None
        return one_query.attend(queries, keys_values, sight.rows, sight.lengths[:, 0], fresh)
    if fresh is not None:
        rows = torch.arange(len(fresh), device=fresh.device) if sight.rows is None else sight.rows
        keys_values[rows[:, None], :, sight.lengths - 1] = fresh.transpose(1, 2)
    keys, values = sight.spread(keys_values).chunk(2, dim=1)
    mixed = F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=sight.mask, enable_gqa=keys.shape[1] != queries.shape[1]
    )
    return mixed.transpose(1, 2).flatten(2)
