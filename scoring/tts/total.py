"""The total score: one formula, for a sample and for a whole evaluation.

    sample:         score = human likeness x (1 - counted WER)
    evaluation:     score = human likeness x (1 - counted WER) x across prompts
    across prompts = distinct x (1 - 0.03 (1 - voices)) x (1 - 0.03 (1 - follows description))

where the counted WER is 0 up to the human floor and 1 from WER 1 on (``human_floor.py``).
It increases in each part and is near zero when likeness or WER is bad. Over an evaluation, human
likeness is the mean over prompts and WER is the corpus WER: all edits over all reference words. A
prompt whose audio could not be scored counts as every word missed and no likeness, so that staying
silent on a hard prompt never pays. What only the whole evaluation shows is defined in
``scoring/metrics/across_prompts.py``; where its prompts give no occasion to tell, nothing is taken
off. Whether people who feel something speak as asked is unvalidated, hence the small weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.contract import Aggregate, Interval, Sample, WerInterval, WordErrors
from scoring.metrics.across_prompts import AcrossPrompts, Asked, Spoken, compare
from scoring.metrics.human_reference import load_reference
from scoring.tts.human_floor import wer_for_score

RESAMPLES = 2_000
CONFIDENCE = 0.95

VOICES_WEIGHT = 0.03
DESCRIPTION_WEIGHT = 0.03


def sample_score(wer: float, human_likeness: float, *, floor: float = 0.0) -> float:
    """Score one sample, or one evaluation, in [0, 1] from its raw WER and its likeness.

    ``floor`` is the recogniser's WER on people.
    """
    return human_likeness * (1.0 - wer_for_score(wer, floor))


def aggregate(
    samples: Sequence[Sample],
    *,
    seed: int,
    floor: float = 0.0,
    asked: Sequence[Asked] | None = None,
) -> Aggregate:
    """Aggregate samples; the intervals are percentile bootstraps over prompts, seeded.

    Every sample carries ``errors``: an unscored one has all its words deleted. ``asked`` is the
    delivery that the description of each prompt asks for, where that is known.
    """
    across = _across_prompts(samples, asked)
    factor = across_factor(across)
    edits = np.array([_errors(s).edits for s in samples], dtype=np.float64)
    words = np.array([_errors(s).words for s in samples], dtype=np.float64)
    likeness = np.array([s.human_likeness or 0.0 for s in samples], dtype=np.float64)

    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(samples), size=(RESAMPLES, len(samples)))
    low, high = _interval(factor * _totals(edits, words, likeness, draws, floor))
    wer_low, wer_high = _interval(_corpus_wer(edits, words, draws))

    everything = np.arange(len(samples))[np.newaxis, :]
    score = factor * float(_totals(edits, words, likeness, everything, floor)[0])
    wer = float(_corpus_wer(edits, words, everything)[0])
    scored = [s for s in samples if s.outcome == "scored"]
    return Aggregate(
        score=score,
        # Rounding in the quantile must not push the estimate outside its own interval.
        interval=Interval(low=min(low, score), high=max(high, score)),
        wer=wer,
        wer_interval=WerInterval(low=min(wer_low, wer), high=max(wer_high, wer)),
        human_likeness=float(likeness.mean()),
        components=_mean_components(scored) | _components(across),
        scored=len(scored),
        unscored=len(samples) - len(scored),
    )


def across_factor(across: AcrossPrompts) -> float:
    """What the comparison across prompts leaves of the score, in [0, 1]."""
    told_apart = 1.0 if across.voices is None else across.voices
    follows = 1.0 if across.follows_description is None else across.follows_description
    return (
        across.distinct
        * (1.0 - VOICES_WEIGHT * (1.0 - told_apart))
        * (1.0 - DESCRIPTION_WEIGHT * (1.0 - follows))
    )


def _across_prompts(samples: Sequence[Sample], asked: Sequence[Asked] | None) -> AcrossPrompts:
    wishes: Sequence[Asked | None] = asked if asked is not None else [None] * len(samples)
    spoken = [
        Spoken(s.prompt.speaker, s.prompt.text, s.components, wish)
        for s, wish in zip(samples, wishes, strict=True)
    ]
    return compare(spoken, load_reference())


def _components(across: AcrossPrompts) -> dict[str, float]:
    """What could be told, by name."""
    values = {
        "distinct": across.distinct,
        "voices": across.voices,
        "follows_description": across.follows_description,
        **{f"follows_{axis}": value for axis, value in across.by_axis.items()},
    }
    return {name: value for name, value in values.items() if value is not None}


def _totals(
    edits: NDArray[np.float64],
    words: NDArray[np.float64],
    likeness: NDArray[np.float64],
    draws: NDArray[np.int64],
    floor: float,
) -> NDArray[np.float64]:
    """Score each row of ``draws`` (resamples, prompts) of indices into the prompts."""
    lost = wer_for_score(_corpus_wer(edits, words, draws), floor)
    totals: NDArray[np.float64] = likeness[draws].mean(axis=1) * (1.0 - lost)
    return np.clip(totals, 0.0, 1.0)


def _corpus_wer(
    edits: NDArray[np.float64], words: NDArray[np.float64], draws: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Edits over words of each row of ``draws``."""
    rates: NDArray[np.float64] = edits[draws].sum(axis=1) / np.maximum(words[draws].sum(axis=1), 1)
    return rates


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)


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
