"""Attention for one new position per slot, on a GPU: one program for each slot and head.

Each reads its own row of the cache in place and no further than it is filled. torch's kernels take
one length for all slots, or a gathered copy of what differing slots hear; with slots that are
filled anew at different times that is twice the bytes, and bytes are what a step's time goes into.
The sum is taken block by block (online softmax, arXiv 1805.02867).
"""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

# Positions that a program reads at a time: as many as its registers hold (96 of them, nothing
# spilled), so that few loads follow one another where few slots are busy. Compiled, not timed.
_BLOCK = 128


def attend(queries: Tensor, keys_values: Tensor, rows: Tensor, lengths: Tensor) -> Tensor:
    """Mix values by head, (slots, 1, hidden), as `one_query.attend` documents."""
    slots, heads, _, width = queries.shape
    mixed = queries.new_empty(slots, 1, heads * width)
    _mix[slots, heads](
        queries,
        keys_values,
        rows,
        lengths,
        mixed,
        1.0 / math.sqrt(width),
        queries.stride(0),
        queries.stride(1),
        keys_values.stride(0),
        keys_values.stride(1),
        shared=heads // (keys_values.shape[1] // 2),
        kv_heads=keys_values.shape[1] // 2,
        width=width,
        lanes=triton.next_power_of_2(width),
        block=_BLOCK,
    )
    return mixed


@triton.jit  # type: ignore[untyped-decorator]
def _mix(
    queries: tl.tensor,
    keys_values: tl.tensor,
    rows: tl.tensor,
    lengths: tl.tensor,
    mixed: tl.tensor,
    scale: tl.tensor,
    slot_stride: tl.tensor,
    query_stride: tl.tensor,
    row_stride: tl.tensor,
    head_stride: tl.tensor,
    shared: tl.constexpr,
    kv_heads: tl.constexpr,
    width: tl.constexpr,
    lanes: tl.constexpr,
    block: tl.constexpr,
) -> None:
    slot, head = tl.program_id(0), tl.program_id(1)
    length = tl.load(lengths + slot)
    # A cache may have more numbers than 32 bits can count.
    keys = keys_values + tl.load(rows + slot).to(tl.int64) * row_stride
    keys += (head // shared) * head_stride
    values = keys + kv_heads * head_stride
    lane = tl.arange(0, lanes)
    real = lane < width
    asked = queries + slot * slot_stride + head * query_stride + lane
    query = tl.load(asked, mask=real, other=0.0).to(tl.float32) * scale
    highest = float("-inf")
    total = 0.0
    summed = tl.zeros([lanes], tl.float32)
    for start in range(0, length, block):
        position = start + tl.arange(0, block)
        seen = position < length
        place = position[:, None] * width + lane[None, :]
        there = seen[:, None] & real[None, :]
        key = tl.load(keys + place, mask=there, other=0.0).to(tl.float32)
        value = tl.load(values + place, mask=there, other=0.0).to(tl.float32)
        score = tl.where(seen, tl.sum(key * query[None, :], axis=1), float("-inf"))
        top = tl.maximum(highest, tl.max(score, axis=0))
        weight = tl.exp(score - top)
        shrink = tl.exp(highest - top)
        summed = summed * shrink + tl.sum(weight[:, None] * value, axis=0)
        total = total * shrink + tl.sum(weight, axis=0)
        highest = top
    here = mixed + (slot * tl.num_programs(1) + head) * width + lane
    tl.store(here, (summed / total).to(mixed.dtype.element_ty), mask=real)
