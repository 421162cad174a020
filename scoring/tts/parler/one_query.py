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

# Of expf in the Cephes library (S. Moshier): exp(x) = 2^n · exp(x - n ln 2), the latter by a
# polynomial that is right to the last bit or two. Below _LEAST a power of two has no exponent.
_LEAST = np.float32(-87.0)
_LOG2_E = np.float32(1.44269504088896341)
_LN_2_HIGH, _LN_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_E2, _E3 = np.float32(5.0000001201e-1), np.float32(1.6666665459e-1)
_E4, _E5 = np.float32(4.1665795894e-2), np.float32(8.3334519073e-3)
_E6, _E7 = np.float32(1.3981999507e-3), np.float32(1.9875691500e-4)


def serves(inputs: Tensor) -> bool:
    """Whether a pass over ``inputs`` (slots, positions, hidden) is of the kind meant here."""
    if inputs.shape[1] != 1:
        return False
    if inputs.device.type == "cuda":
        return _gpu_compiler()
    # Several threads share torch's kernel out among them, and then it is the quicker one.
    return inputs.dtype == torch.float32 and torch.get_num_threads() == 1


def attend(
    queries: Tensor,
    keys_values: Tensor,
    rows: Tensor,
    lengths: Tensor,
    fresh: Tensor | None = None,
) -> Tensor:
    """Mix values by head: (slots, 1, hidden).

    ``queries`` is (slots, heads, 1, width), ``keys_values`` (rows, 2 × key-value heads, positions,
    width). Slot s sees the first ``lengths[s]`` positions, at least one, of row ``rows[s]``, whose
    last is first given the slot's ``fresh`` (slots, 2 × key-value heads, 1, width), if any.
    """
    if queries.device.type == "cuda":
        from scoring.tts.parler import one_query_gpu  # noqa: PLC0415 - a CPU needs no Triton

        if fresh is not None:
            keys_values[rows, :, lengths - 1] = fresh[:, :, 0]
        return one_query_gpu.attend(queries, keys_values, rows, lengths)
    slots, heads, _, width = queries.shape
    mixed = torch.empty(slots, heads, width)
    _kernel()(
        queries[:, :, 0].contiguous().numpy(),
        queries[:0, :, 0].numpy() if fresh is None else fresh[:, :, 0].contiguous().numpy(),
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


def _mix(  # noqa: PLR0912 - compiled as a whole
    queries: Any, fresh: Any, keys_values: Any, rows: Any, lengths: Any, mixed: Any
) -> None:
    slots, heads, width = queries.shape
    kv_heads = keys_values.shape[1] // 2
    shared = heads // kv_heads
    scale = np.float32(1.0 / math.sqrt(width))
    weights = np.empty(keys_values.shape[2], np.float32)
    exponents = np.empty(keys_values.shape[2], np.int32)
    powers = exponents.view(np.float32)
    for slot in range(slots):
        row, length = rows[slot], lengths[slot]
        for head in range(heads):
            query, into = queries[slot, head], mixed[slot, head]
            keys = keys_values[row, head // shared]
            values = keys_values[row, kv_heads + head // shared]
            if len(fresh) and head % shared == 0:
                # Here, where they are read next: written elsewhere they are fetched for it alone.
                for i in range(width):
                    keys[length - 1, i] = fresh[slot, head // shared, i]
                    values[length - 1, i] = fresh[slot, kv_heads + head // shared, i]
            highest = np.float32(-np.inf)
            for position in range(length):
                key = keys[position]
                product = np.float32(0)
                for i in range(width):
                    product += query[i] * key[i]
                weights[position] = product * scale
                highest = max(highest, product * scale)
            # Softmax, relative to the highest, so that no exponential overflows. It is Cephes'
            # expf, the remainder's part and the power of two apart: so many go at a time.
            for position in range(length):
                x = weights[position] - highest
                if x < _LEAST:  # noqa: PLR1730 - max() would hide NaN
                    x = _LEAST
                power = np.int32(x * _LOG2_E - np.float32(0.5))
                exponents[position] = (power + np.int32(127)) << np.int32(23)
                x = x - np.float32(power) * _LN_2_HIGH - np.float32(power) * _LN_2_LOW
                series = ((((_E7 * x + _E6) * x + _E5) * x + _E4) * x + _E3) * x + _E2
                weights[position] = series * x * x + x + np.float32(1)
            total = np.float32(0)
            for position in range(length):
                weights[position] *= powers[position]
                total += weights[position]
            for i in range(width):
                into[i] = 0
            # Four at a time, so that the sum is loaded and stored a fourth as often.
            fours = length - length % 4
            for position in range(0, fours, 4):
                w0, w1 = weights[position], weights[position + 1]
                w2, w3 = weights[position + 2], weights[position + 3]
                v0, v1 = values[position], values[position + 1]
                v2, v3 = values[position + 2], values[position + 3]
                for i in range(width):
                    into[i] += w0 * v0[i] + w1 * v1[i] + w2 * v2[i] + w3 * v3[i]
            for position in range(fours, length):
                weight, value = weights[position], values[position]
                for i in range(width):
                    into[i] += weight * value[i]
            for i in range(width):
                into[i] /= total
