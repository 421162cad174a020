"""How a model's answers differ from its base model's, in two thousand small numbers."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scoring.contract import SKETCH_VALUES, FailureCode, Sketch
from scoring.errors import ScoringError
from scoring.sketch.answers import Answers, Floats, Kind, answers_of
from scoring.sketch.noise import with_noise
from scoring.sketch.stream import SKETCH_VERSION, fixed_numbers
from scoring.tts.parler.load import Place, load_model

_BLOCKS, _WHOLE = 1_000, 100
_LEVELS = 127

Numbers = NDArray[np.float64]
Part = tuple[int, Floats, Floats]
"""Which part of the sketch a vector belongs into, the model's and the base's."""


@dataclass(frozen=True)
class BaseAnswers:
    """What the base model answers, as it is and with 1 % of noise."""

    weights_digest: str
    plain: Answers
    noisy: Answers


def base_answers(base_dir: Path, place: Place) -> BaseAnswers:
    """Load the base model, ask it, and let it go.

    Raises ScoringError: ASSET_MISSING, as a broken base is no fault of the submission.
    """
    try:
        model = load_model(base_dir, place=place, base_dir=base_dir)
    except ScoringError as error:
        raise _unusable(base_dir, error.message) from error
    plain, noisy = answers_of(model), answers_of(with_noise(model))
    if plain is None or noisy is None:
        raise _unusable(base_dir, "it has no room for a sentence, or its weights make no sense")
    return BaseAnswers(model.weights_digest, plain, noisy)


def sketch_of_weights(own: Answers, base: BaseAnswers) -> Sketch | None:
    """The sketch of a model's weights. None where it has other blocks than its base.

    Every block weighs alike, whatever the size of its numbers: a sketch is about as long as the
    answers' relative change. There is a part for each ``Kind`` of block.
    """
    if [(k, len(b)) for k, b in own.blocks] != [(k, len(b)) for k, b in base.plain.blocks]:
        return None
    noise = _numbers(_blocks(base.noisy, base.plain), len(Kind), _BLOCKS)
    return _sketch(_numbers(_blocks(own, base.plain), len(Kind), _BLOCKS), noise, base)


def sketch_of_behaviour(own: Answers, base: BaseAnswers) -> Sketch | None:
    """The same of what the whole model answers, in one part. None for another vocabulary."""
    if len(own.whole) != len(base.plain.whole):
        return None
    noise = _numbers([(0, base.noisy.whole, base.plain.whole)], 1, _WHOLE)
    return _sketch(_numbers([(0, own.whole, base.plain.whole)], 1, _WHOLE), noise, base)


def _blocks(own: Answers, base: Answers) -> list[Part]:
    pairs = zip(own.blocks, base.blocks, strict=True)
    return [(kind, mine, theirs) for (kind, mine), (_, theirs) in pairs]


def _numbers(parts: Iterable[Part], count: int, stream: int) -> Numbers:
    """(count, SKETCH_VALUES / count): the relative differences, projected part by part."""
    listed = list(parts)
    numbers = np.zeros((count, SKETCH_VALUES // count))
    for index, (part, mine, theirs) in enumerate(listed):
        length = float(np.linalg.norm(theirs.astype(np.float64))) * np.sqrt(len(listed))
        if length > 0:
            change = (mine.astype(np.float64) - theirs) / length
            numbers[part] += _projected(change, numbers.shape[1], stream + index)
    return numbers


def _projected(vector: Numbers, size: int, stream: int) -> Numbers:
    """A count sketch (Charikar, Chen and Farach-Colton 2002): inner products survive it."""
    drawn = fixed_numbers(stream, len(vector))
    signs = 1.0 - 2.0 * (drawn >> np.uint64(63)).astype(np.float64)
    buckets = (drawn % np.uint64(size)).astype(np.int64)
    return np.bincount(buckets, weights=signs * vector, minlength=size).astype(np.float64)


def _sketch(numbers: Numbers, noise: Numbers, base: BaseAnswers) -> Sketch | None:
    largest = float(np.abs(numbers).max())
    if not np.isfinite(largest):
        return None
    scale = largest / _LEVELS
    levels = np.round(numbers / scale) if scale > 0 else numbers
    return Sketch(
        version=SKETCH_VERSION,
        base_digest=base.weights_digest,
        noise=tuple(float(n) for n in np.linalg.norm(noise, axis=1)),
        scale=scale,
        levels=base64.b64encode(levels.astype(np.int8).tobytes()).decode(),
    )


def _unusable(base_dir: Path, why: str) -> ScoringError:
    return ScoringError(
        FailureCode.ASSET_MISSING,
        f"the base model in {base_dir} cannot be used: {why}",
        "Install the base model's complete repository on the evaluator.",
    )
