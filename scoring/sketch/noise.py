"""A model as it would be with a little noise in every weight, without a second copy of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from scoring.sketch.stream import SKETCH_VERSION
from scoring.tts.parler.linear import Linear
from scoring.tts.parler.load import LoadedModel
from scoring.tts.parler.parameters import Norm

NOISE = 0.01
"""Standard deviation, as a share of the root mean square of each matrix."""


@dataclass(frozen=True)
class _NoisyLinear(Linear):
    """Adds to a product what normal noise of deviation ``size`` in the matrix would add.

    For one input that is exact; for several it leaves out that they would share the noise.
    """

    size: float
    random: torch.Generator

    def __call__(self, x: Tensor) -> Tensor:
        product = super().__call__(x)
        spread: Tensor = self.size * torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return product + spread * _normal(product, self.random)


def with_noise(model: LoadedModel) -> LoadedModel:
    """``model`` with noise in its decoder; large matrices are shared with it."""
    random = torch.Generator(model.decoder.like.device).manual_seed(SKETCH_VERSION)
    parameters = model.decoder.parameters
    noisy = replace(
        parameters,
        audio_table=_noisy(parameters.audio_table, random),
        prompts=_noisy(parameters.prompts, random),
        layers=tuple(
            replace(
                layer, **{f.name: _noisy(getattr(layer, f.name), random) for f in fields(layer)}
            )
            for layer in parameters.layers
        ),
        norm=_noisy(parameters.norm, random),
        heads=_noisy(parameters.heads, random),
    )
    return replace(model, decoder=replace(model.decoder, parameters=noisy))


def _noisy(part: Any, random: torch.Generator) -> Any:
    if isinstance(part, Linear):
        return _NoisyLinear(part.weight, part.packed, _size(part.plain()), random)
    if isinstance(part, Norm):
        return Norm(_noisy(part.weight, random), _noisy(part.bias, random))
    return part + _size(part) * _normal(part, random)


def _size(weight: Tensor) -> float:
    return NOISE * float(torch.linalg.vector_norm(weight)) / math.sqrt(weight.numel())


def _normal(like: Tensor, random: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=random, device=like.device)
