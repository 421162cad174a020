"""A pass recorded once as a CUDA graph and replayed, so that starting its kernels costs nothing.

A step of mini v1 starts some four hundred kernels. Started one by one from Python they take longer
than the GPU needs to run them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pass = Callable[[Tensor], Tensor]
"""From a tensor of integers to a tensor, both on one device."""

Pool = Any
"""torch's handle on the memory of recordings; None where nothing is recorded."""


def shared_pool(device: torch.device) -> Pool:
    """Memory for recordings that are replayed one at a time, each result read before the next."""
    if device.type != "cuda":
        return None
    return torch.cuda.graph_pool_handle()


class Recorded:
    """A pass that is called again and again with integers of one shape.

    On a GPU the first call runs it as it is, which also compiles and warms up what it uses; the
    second records it, and from then on the recording is replayed. So the pass may wait for nothing
    on the device, must find everything besides its input where it was, and each result is
    overwritten by the next of any pass that shares its ``pool``. On a CPU it is simply called.
    """

    def __init__(self, function: Pass, device: torch.device, pool: Pool) -> None:
        self._function = function
        self._device = device
        self._pool = pool
        self._input: Tensor | None = None
        self._output: Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, numbers: NDArray[np.int64]) -> Tensor:
        """Run the pass on ``numbers``."""
        fresh = torch.from_numpy(numbers)
        if self._device.type != "cuda":
            return self._function(fresh)
        with torch.cuda.device(self._device):
            return self._on_gpu(fresh)

    def _on_gpu(self, fresh: Tensor) -> Tensor:
        if self._input is None:
            self._input = fresh.to(self._device)
            return self._function(self._input)
        self._input.copy_(fresh)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            # Other threads go on allocating for the codec meanwhile.
            with torch.cuda.graph(self._graph, self._pool, capture_error_mode="thread_local"):
                self._output = self._function(self._input)
        self._graph.replay()
        assert self._output is not None
        return self._output
