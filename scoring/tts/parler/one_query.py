"""Attention for one new position per slot: a loop over what it must read.

A row of the cache is read once, in place, whatever the other slots hear, and no further than it is
filled; so a slot's result does not depend on its neighbours to the last bit. Here the loop is
written for one thread of a CPU, where torch's kernel spends more on starting each slot's and head's
products than on doing them; `one_query_gpu` is the same for a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor


def serves(inputs: Tensor) -> bool:
    """Whether a pass over ``inputs`` (slots, positions, hidden) is of the kind meant here."""
    if inputs.shape[1] != 1:
        return False
    if inputs.device.type == "cuda":
        return _gpu_compiler()
    # Several threads share torch's kernel out among them, and then it is the quicker one.
    return inputs.dtype == torch.float32 and torch.get_num_threads() == 1


def attend(queries: Tensor, keys_values: Tensor, rows: Tensor, lengths: Tensor) -> Tensor:
    """Mix values by head: (slots, 1, hidden).

    ``queries`` is (slots, heads, 1, width), ``keys_values`` (rows, 2 × key-value heads, positions,
    width). Slot s sees the first ``lengths[s]`` positions, at least one, of row ``rows[s]``.
    """
    if queries.device.type == "cuda":
        from scoring.tts.parler import one_query_gpu  # noqa: PLC0415 - a CPU needs no Triton

        return one_query_gpu.attend(queries, keys_values, rows, lengths)
    slots, heads, _, width = queries.shape
    mixed = torch.empty(slots, heads, width)
    _kernel()(
        queries[:, :, 0].contiguous().numpy(),
        _whole(keys_values).numpy(),
        rows.numpy(),
        lengths.numpy(),
        mixed.numpy(),
    )
    return mixed.view(slots, 1, heads * width)


def _whole(keys_values: Tensor) -> Tensor:
    """The cache of which ``keys_values`` shows the first positions: it is contiguous."""
    allocated = keys_values.stride(1) // keys_values.stride(2)
    shape = (*keys_values.shape[:2], allocated, keys_values.shape[3])
    return keys_values.as_strided(shape, keys_values.stride())


@cache
def _gpu_compiler() -> bool:
    """Whether Triton is there; torch's builds for Linux with CUDA bring it."""
    return find_spec("triton") is not None


@cache
def _kernel() -> Callable[..., None]:
    """The loop as machine code: compiled once in a process, in one to two seconds."""
    import numba  # noqa: PLC0415 - who only listens or scores needs no compiler

    # NaN must stay NaN, and infinities infinite: only the order of sums is the compiler's.
    fast = {"reassoc", "contract", "arcp", "nsz"}
    compiled: Callable[..., None] = numba.njit(_mix, fastmath=fast, error_model="numpy")
    return compiled


def _mix(queries: Any, keys_values: Any, rows: Any, lengths: Any, mixed: Any) -> None:
    slots, heads, width = queries.shape
    kv_heads = keys_values.shape[1] // 2
    shared = heads // kv_heads
    scale = np.float32(1.0 / math.sqrt(width))
    weights = np.empty(keys_values.shape[2], np.float32)
    for slot in range(slots):
        row, length = rows[slot], lengths[slot]
        for head in range(heads):
            query, into = queries[slot, head], mixed[slot, head]
            keys = keys_values[row, head // shared]
            values = keys_values[row, kv_heads + head // shared]
            highest = np.float32(-np.inf)
            for position in range(length):
                key = keys[position]
                product = np.float32(0)
                for i in range(width):
                    product += query[i] * key[i]
                weights[position] = product * scale
                highest = max(highest, product * scale)
            total = np.float32(0)
            for position in range(length):
                # Relative to the highest, so that no exponential overflows.
                weight = math.exp(weights[position] - highest)
                weights[position] = weight
                total += weight
            into[:] = 0
            for position in range(length):
                weight, value = weights[position], values[position]
                for i in range(width):
                    into[i] += weight * value[i]
            for i in range(width):
                into[i] /= total
