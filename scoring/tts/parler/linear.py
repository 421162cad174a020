"""Matrices as they are multiplied fastest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

# The batch size that oneDNN lays a matrix out for; the layout serves every other size too.
_TYPICAL_ROWS = 32


@dataclass(frozen=True)
class Linear:
    """A product without bias, from (…, in) to (…, out).

    On the CPU a float32 matrix is kept in oneDNN's own layout, in place of torch's: that saves a
    third of the time at tens of rows, and a row's result is the same whatever its company.
    """

    weight: Tensor
    packed: bool

    @classmethod
    def of(cls, weight: Tensor) -> Linear:
        """Lay out a matrix (out, in)."""
        meant = weight.device.type == "cpu" and weight.dtype == torch.float32
        if not (meant and torch._C._has_mkldnn):
            return cls(weight, packed=False)
        return cls(torch.ops.mkldnn._reorder_linear_weight(weight, _TYPICAL_ROWS), packed=True)

    def plain(self) -> Tensor:
        """The matrix (out, in) in torch's layout; a copy if it is kept in another."""
        return self.weight.to_dense() if self.packed else self.weight

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply."""
        if not self.packed:
            return F.linear(x, self.weight)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, None, "none", [], "")
        return product
