"""The figures: shares of pairs, areas under the curve, their bootstrap by speaker, resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2_000
_Z95 = 1.959964


@dataclass(frozen=True)
class Figure:
    """An estimate with its 95 % bootstrap interval by speaker."""

    value: float
    low: float
    high: float
    clips: int
    speakers: int

    def as_json(self) -> dict[str, float]:
        """Rounded for reading."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def auc(human: ArrayLike, other: ArrayLike) -> float:
    """How often a human score exceeds another's; ties count half."""
    h, o = np.asarray(human)[:, np.newaxis], np.asarray(other)
    return float(((h > o) + 0.5 * (h == o)).mean())


def paired_share(before: ArrayLike, after: ArrayLike, speakers: Sequence[str]) -> Figure:
    """The share of pairs in which ``before`` is higher; a tie is a failure to notice."""
    higher = (np.asarray(before) > np.asarray(after)).astype(np.float64)
    return _by_speaker(higher, speakers)


def paired_auc(human: ArrayLike, other: ArrayLike, speakers: Sequence[str]) -> Figure:
    """The share of pairs in which the human scores higher; ties count half."""
    h, o = np.asarray(human), np.asarray(other)
    return _by_speaker((h > o) + 0.5 * (h == o), speakers)


def mean_difference(human: ArrayLike, other: ArrayLike, speakers: Sequence[str]) -> Figure:
    """Human minus other, over pairs."""
    return _by_speaker(np.asarray(human) - np.asarray(other), speakers)


def unpaired_auc(
    human: Sequence[float], speakers: Sequence[str], other: Sequence[float], seed: int = 0
) -> Figure:
    """Resamples the human speakers, and the other's clips."""
    rng = np.random.default_rng(seed)
    groups = _groups(np.asarray(human), speakers)
    draws = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(groups), len(groups))
        again = rng.choice(np.asarray(other), len(other))
        draws.append(auc(np.concatenate([groups[i] for i in chosen]), again))
    low, high = np.quantile(draws, [0.025, 0.975])
    return Figure(auc(human, other), float(low), float(high), len(human), len(groups))


def resolvable_difference(good: ArrayLike, worse: ArrayLike, prompts: int, seed: int = 0) -> float:
    """The smallest true difference of mean scores that ``prompts`` prompts show with 80 % power.

    Two systems speak the same prompts independently; the second gives a share of them as the
    worse version. The share is bisected until the paired t-test (5 %, two-sided) finds the
    difference in 80 % of 400 simulated rounds.
    """
    good, worse = np.asarray(good), np.asarray(worse)
    low, high = 0.0, 1.0
    for _ in range(12):
        share = (low + high) / 2.0
        if _power(good, worse, share, prompts, np.random.default_rng(seed)) < 0.8:
            low = share
        else:
            high = share
    return float(high * (good.mean() - worse.mean()))


def _power(
    good: NDArray[np.float64],
    worse: NDArray[np.float64],
    share: float,
    prompts: int,
    rng: np.random.Generator,
    rounds: int = 400,
) -> float:
    first = rng.choice(good, (rounds, prompts))
    picked = rng.integers(0, len(good), (rounds, prompts))
    spoiled = rng.random((rounds, prompts)) < share
    second = np.where(spoiled, worse[picked], good[picked])
    difference = first - second
    error = difference.std(axis=1, ddof=1) / np.sqrt(prompts)
    return float((difference.mean(axis=1) > _Z95 * np.maximum(error, 1e-12)).mean())


def _by_speaker(values: NDArray[np.float64], speakers: Sequence[str], seed: int = 0) -> Figure:
    rng = np.random.default_rng(seed)
    groups = _groups(values, speakers)
    if len(groups) == 1:
        # Of one speaker, the bootstrap can only say how much the clips vary.
        groups = list(values[:, np.newaxis])
    sums = np.array([g.sum() for g in groups])
    sizes = np.array([len(g) for g in groups])
    draws = rng.integers(0, len(groups), (RESAMPLES, len(groups)))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(float(values.mean()), float(low), float(high), len(values), len(set(speakers)))


def _groups(values: NDArray[np.float64], speakers: Sequence[str]) -> list[NDArray[np.float64]]:
    names = np.array(speakers)
    return [values[names == name] for name in sorted(set(speakers))]
