"""The total score: one formula, for a sample and for a whole evaluation.

    score = human likeness x (1 - min(WER, 1))

It increases in each part and is near zero when either is bad. Over an evaluation, human likeness
is the mean over prompts and WER is the corpus WER: all edits over all reference words. A prompt
whose audio could not be scored counts as every word missed and no likeness, so that staying
silent on a hard prompt never pays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.contract import Aggregate, Interval, Sample, WordErrors

RESAMPLES = 2_000
CONFIDENCE = 0.95


def sample_score(wer: float, human_likeness: float) -> float:
    """Score one sample, or one evaluation, in [0, 1] from its raw WER and its likeness."""
    return human_likeness * (1.0 - min(wer, 1.0))


def aggregate(samples: Sequence[Sample], *, seed: int) -> Aggregate:
    """Aggregate samples; the interval is a percentile bootstrap over prompts, seeded.

    Every sample carries ``errors``: an unscored one has all its words deleted.
    """
    edits = np.array([_errors(s).edits for s in samples], dtype=np.float64)
    words = np.array([_errors(s).words for s in samples], dtype=np.float64)
    likeness = np.array([s.human_likeness or 0.0 for s in samples], dtype=np.float64)

    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(samples), size=(RESAMPLES, len(samples)))
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(_totals(edits, words, likeness, draws), [tail, 1.0 - tail])

    everything = np.arange(len(samples))[np.newaxis, :]
    score = float(_totals(edits, words, likeness, everything)[0])
    scored = [s for s in samples if s.outcome == "scored"]
    return Aggregate(
        score=score,
        # Rounding in the quantile must not push the estimate outside its own interval.
        interval=Interval(low=min(float(low), score), high=max(float(high), score)),
        wer=float(edits.sum() / max(words.sum(), 1.0)),
        human_likeness=float(likeness.mean()),
        components=_mean_components(scored),
        scored=len(scored),
        unscored=len(samples) - len(scored),
    )


def _totals(
    edits: NDArray[np.float64],
    words: NDArray[np.float64],
    likeness: NDArray[np.float64],
    draws: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Score each row of ``draws`` (resamples, prompts) of indices into the prompts."""
    wer = edits[draws].sum(axis=1) / np.maximum(words[draws].sum(axis=1), 1.0)
    totals: NDArray[np.float64] = likeness[draws].mean(axis=1) * (1.0 - np.minimum(wer, 1.0))
    return np.clip(totals, 0.0, 1.0)


def _mean_components(scored: Sequence[Sample]) -> dict[str, float]:
    names = sorted({name for sample in scored for name in sample.components})
    return {
        name: float(np.mean([s.components[name] for s in scored if name in s.components]))
        for name in names
    }


def _errors(sample: Sample) -> WordErrors:
    if sample.errors is None:
        raise ValueError(f"sample {sample.prompt.index} has no word errors")
    return sample.errors
