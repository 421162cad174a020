"""Made-up sketches, whose differences are known to the last number."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from scoring.contract import SKETCH_VALUES, Sketch
from voice_validation_api.copies import Pair

Numbers = NDArray[np.float64]
PARTS = 7
NOISE = 0.005
"""Length of 1 % of noise in each part."""


def sketch(numbers: Numbers, *, parts: int = PARTS, base: str = "a") -> Sketch:
    scale = float(np.abs(numbers).max()) / 127
    levels = np.round(numbers / scale) if scale else numbers
    return Sketch(
        version=1,
        base_digest=base * 64,
        noise=(NOISE * (PARTS / parts) ** 0.5,) * parts,
        scale=scale,
        levels=base64.b64encode(levels.astype(np.int8).tobytes()).decode(),
    )


def model(numbers: Numbers, *, behaviour: Numbers | None = None, base: str = "a") -> Pair:
    """A model whose behaviour differs from the base's as its weights do."""
    acts = numbers if behaviour is None else behaviour
    return sketch(numbers, base=base), sketch(acts, parts=1, base=base)


def drawn(seed: int, length: float) -> Numbers:
    """A difference that is uneven over the parts, as training makes it."""
    random = np.random.RandomState(seed)
    numbers = random.standard_normal((PARTS, SKETCH_VALUES // PARTS))
    numbers *= np.array([0.1, 1, 2, 1, 2, 1.5, 0.2])[:, None]
    return (numbers * (length / np.linalg.norm(numbers))).ravel()


def noise(seed: int, percent: float) -> Numbers:
    random = np.random.RandomState(1_000 + seed)
    return random.standard_normal(SKETCH_VALUES) * percent * NOISE / (SKETCH_VALUES / PARTS) ** 0.5
