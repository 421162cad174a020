"""Whether one submission is a near copy of another, judged by their sketches. Pure.

A sketch says how a model differs from the base model (``scoring.contract.Sketch``). A copy's
difference is the original's, a little shrunken or grown, plus something small: noise, which reaches
every part of a model alike, or a blend with another model. Another fine-tune's difference points
elsewhere. What a copy does is then held against what the original does in the same way.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scoring.contract import SKETCH_VALUES, Sketch

Pair = tuple[Sketch, Sketch]
"""Of one model: its weights, its behaviour."""
Numbers = NDArray[np.float32]

LEAST_SHARE: Final = 0.82
MOST_SHARE: Final = 1.15
"""How much of the original's difference a copy has: a blend with a tenth of the base has 0.9."""
MOST_NOISE: Final = 1.25
"""In units of 1 %. More is no copy for us: it costs the copier more than it hides."""
MOST_CHANGE: Final = 0.25
"""What else may have changed, as a share of the original's difference."""
NOISE_MARGIN: Final = 1.5
"""The part of a sketch that shows least noise shows less than the average one."""
MOST_BLENDED: Final = 0.12
"""How much of a third model may be blended into a copy."""
SAME: Final = 0.95
"""Squared cosine from which on two models are taken for one."""
LEAST_CERTAINTY: Final = 8.0
"""Standard errors by which the share must differ from nothing: a difference that is much smaller
than the noise belongs to nobody."""
POSSIBLE_SHARES: Final = (0.6, 1.5)
"""Shares that are looked at closely: what is blended into a copy may hide or add to its share."""
MOST_BEHAVIOUR_CHANGE: Final = 0.4
LEAST_BEHAVIOUR: Final = 0.7


@dataclass(frozen=True)
class Likeness:
    """How far a later model is explained by an earlier one.

    ``share`` of the earlier one's difference is found in the later; ``noise`` is in units of 1 % of
    the weights, ``change`` is what neither explains, as a share of the earlier difference.
    ``certainty`` is in standard errors of the share. ``blended`` is how much of a third model is
    in the later one.
    """

    share: float
    noise: float
    change: float
    certainty: float
    blended: float = 0.0

    @property
    def is_close(self) -> bool:
        """Whether weights like these are a copy's."""
        return (
            LEAST_SHARE <= self.share <= MOST_SHARE
            and self.noise <= MOST_NOISE
            and self.change <= MOST_CHANGE
            and self.certainty >= LEAST_CERTAINTY
        )

    @property
    def agrees(self) -> bool:
        """Whether behaviour like this is a copy's. It has one part only, so that all of what is
        unexplained might be noise."""
        return self.share >= LEAST_BEHAVIOUR and self.change <= MOST_BEHAVIOUR_CHANGE


@dataclass(frozen=True)
class Evidence:
    """Why a submission is taken for a near copy: likeness of weights, and of behaviour."""

    weights: Likeness
    behaviour: Likeness

    @property
    def confirmed(self) -> bool:
        """Whether the models also do the same; without that nobody is held."""
        return self.behaviour.agrees

    def __str__(self) -> str:
        weights, behaviour = self.weights, self.behaviour
        return (
            f"the weights have {weights.share:.2f} of the other's difference from the base model; "
            f"noise of {weights.noise:.2f} % and {weights.blended:.2f} of a third model aside, "
            f"{weights.change:.2f} of that difference is unexplained; of the difference in what "
            f"the models do on fixed inputs the share is {behaviour.share:.2f} and "
            f"{behaviour.change:.2f} is unexplained"
        )

    def as_json(self) -> dict[str, object]:
        """The figures, to be kept."""
        return asdict(self)


@dataclass(frozen=True)
class Shelf:
    """Sketched models, all comparable with one another, ready to be held against one of them.

    ``levels`` is (models, SKETCH_VALUES) signed bytes of weights, ``scales`` and ``squares``, their
    squared lengths, (models,).
    """

    pairs: Sequence[Pair]
    levels: NDArray[np.int8]
    scales: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Shelf:
        """Put models side by side."""
        joined = b"".join(base64.b64decode(weights.levels) for weights, _ in pairs)
        levels = np.frombuffer(joined, np.int8).reshape(-1, SKETCH_VALUES)
        scales = np.array([weights.scale for weights, _ in pairs])
        lengths = [np.einsum("ij,ij->i", rows, rows) for rows in _as_floats(levels)]
        return cls(pairs, levels, scales, np.concatenate([*lengths, []]) * scales**2)

    def candidates(self, weights: Sketch) -> list[int]:
        """Which models one might be a copy of, or the original of, judged by the share alone."""
        if not self.pairs:
            return []
        own = numbers_of(weights).ravel()
        [products] = self._products(own)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.stack((products / self.squares, products / float(own @ own)))
        least, most = POSSIBLE_SHARES
        possible = (shares >= least) & (shares <= most)
        return [int(n) for n in np.flatnonzero(possible.any(axis=0))]

    def blended(self, copy: Sketch, original: Sketch) -> tuple[float, Pair] | None:
        """The third model that explains best what ``original`` leaves unexplained of ``copy``, and
        how much of it is in there: a least squares fit for each. What is the copy itself, or the
        same once more, explains nothing and is left out."""
        x, y = numbers_of(original).ravel(), numbers_of(copy).ravel()
        length = float(x @ x)
        if not len(self.pairs) or length == 0.0:
            return None
        with_original, with_copy = self._products(x, y)
        itself = with_copy**2 > SAME * self.squares * float(y @ y)
        # Of each third model, only what is at right angles to the original.
        rest = np.where(itself, 0.0, with_copy - with_original * float(x @ y) / length)
        squares = self.squares - with_original**2 / length
        with np.errstate(divide="ignore", invalid="ignore"):
            amounts = np.nan_to_num(np.clip(rest / squares, 0.0, MOST_BLENDED))
        best = int(np.argmax(2 * amounts * rest - amounts**2 * squares))
        return (float(amounts[best]), self.pairs[best]) if amounts[best] > 0 else None

    def _products(self, *vectors: Numbers) -> NDArray[np.float64]:
        """Inner products with (SKETCH_VALUES,) vectors: (vectors, models)."""
        # Not `@`: threads of BLAS wait for each other longer than this takes.
        found = [
            [np.einsum("ij,j->i", rows, vector) for vector in vectors]
            for rows in _as_floats(self.levels)
        ]
        joined = [np.concatenate([*parts, []]) for parts in zip(*found, strict=True)]
        return np.stack(joined) * self.scales


def _as_floats(levels: NDArray[np.int8]) -> Iterator[Numbers]:
    """A few rows at a time, so that they stay in the processor's cache."""
    for start in range(0, len(levels), _ROWS):
        yield levels[start : start + _ROWS].astype(np.float32)


_ROWS = 256


def near_copy(later: Pair, earlier: Pair, shelf: Shelf) -> Evidence | None:
    """Whether the weights of one model are a near copy of another's, and what then is seen.

    Either may be the one that was copied from: noise in the earlier one shrinks its share.
    ``shelf`` holds what a copier may have blended in.
    """
    if not all(comparable(a, b) for a, b in zip(later, earlier, strict=True)):
        return None
    found = None
    for copy, original in ((later, earlier), (earlier, later)):
        for third in (None, shelf.blended(copy[0], original[0])):
            seen = _copied(copy, original, third)
            if seen is not None and seen.confirmed:
                return seen
            found = found or seen
    return found


def comparable(a: Sketch, b: Sketch) -> bool:
    """Whether two sketches answer the same questions about one base model."""
    return (a.version, a.base_digest, len(a.noise)) == (b.version, b.base_digest, len(b.noise))


def likeness(
    copy: Sketch, original: Sketch, blended: tuple[float, Sketch] | None = None
) -> Likeness:
    """How far ``copy`` is explained by ``original``, and by a given amount of a third model."""
    x, y = numbers_of(original), numbers_of(copy)
    amount, third = blended or (0.0, original)
    y = y - amount * numbers_of(third)
    length = float(np.linalg.norm(x))
    if length == 0.0:
        return Likeness(0.0, 0.0, 0.0, 0.0, amount)
    share = float((x * y).sum()) / length**2
    rest = np.linalg.norm(y - share * x, axis=1).astype(np.float64)
    usual = np.maximum(original.noise, 1e-30)
    # Noise reaches every part; so there is no more of it than in the part that shows least.
    noise = float(np.min(rest / usual))
    explained = min(NOISE_MARGIN * noise, MOST_NOISE) * usual
    unexplained = float(np.sqrt(np.maximum(rest**2 - explained**2, 0.0).sum()))
    error = float(np.linalg.norm(rest)) / (length * SKETCH_VALUES**0.5)
    return Likeness(
        share=share,
        noise=noise,
        change=unexplained / length,
        certainty=abs(share) / max(error, 1e-9),
        blended=amount,
    )


def numbers_of(sketch: Sketch) -> Numbers:
    """(parts, numbers of each)."""
    levels = np.frombuffer(base64.b64decode(sketch.levels), np.int8)
    return levels.reshape(len(sketch.noise), -1).astype(np.float32) * np.float32(sketch.scale)


def _copied(copy: Pair, original: Pair, blended: tuple[float, Pair] | None) -> Evidence | None:
    thirds = [None, None] if blended is None else [(blended[0], third) for third in blended[1]]
    weights = likeness(copy[0], original[0], thirds[0])
    if not weights.is_close:
        return None
    behaviour = likeness(copy[1], original[1], thirds[1])
    return Evidence(weights, behaviour)
