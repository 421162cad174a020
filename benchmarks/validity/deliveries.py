"""Does the comparison across prompts see what it should? On speech whose delivery we changed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import parselmouth
from parselmouth.praat import call
from scipy.signal import butter, sosfiltfilt

from benchmarks.validity.alterations import RATE, Samples, tempo
from benchmarks.validity.clips import Clip
from benchmarks.validity.judge import Task, Verdict, judge_all
from scoring.metrics.across_prompts import AXES, AcrossPrompts, Spoken, compare
from scoring.metrics.human_reference import load_reference

_RAISED_DB = 4.0


@dataclass(frozen=True)
class Wish:
    """A delivery that is ordinary but for one axis."""

    pitch_level: int = 0
    pitch_range: int = 0
    rate: int = 0
    energy: int = 0


def deliver(x: Samples, wish: Wish, rng: np.random.Generator) -> Samples:
    """Two semitones, a third of the range, a fifth of the speed, or 4 dB with a raised voice."""
    if wish.rate:
        return tempo(x, 1.2**wish.rate, rng)
    if wish.energy:
        high = sosfiltfilt(butter(2, 1_000, btype="high", fs=RATE, output="sos"), x)
        gain = 10.0 ** (wish.energy * _RAISED_DB / 20.0)
        return np.asarray(gain * (x + (gain - 1.0) * high), dtype=np.float32)
    if wish.pitch_level or wish.pitch_range:
        return _with_contour(x, 2.0 * wish.pitch_level, 1.5**wish.pitch_range)
    return x


def direction(clips: Sequence[Clip], before: Sequence[Verdict], jobs: int) -> dict[str, Any]:
    """Somers' D by axis where the delivery was changed as asked, and where something else was
    asked for, at random."""
    wishes = [Wish(**{axis: level}) for axis in AXES for level in (-1, 1)]
    asked = [wishes[i % len(wishes)] for i in range(len(clips))]
    delivered = [
        deliver(clip.samples, wish, np.random.default_rng(zlib.crc32(clip.name.encode())))
        for clip, wish in zip(clips, asked, strict=True)
    ]
    after = judge_all([Task(x) for x in delivered], "deliveries", jobs)
    order = np.random.default_rng(0).permutation(len(asked))
    reference = load_reference()
    figures = {}
    for name, wanted in {"as asked": asked, "at random": [asked[i] for i in order]}.items():
        # Relative to the recording it was made of: the same text by the same speaker.
        spoken = [
            Spoken("one", c.name, _relative(v, own), wish)
            for c, v, own, wish in zip(clips, after, before, wanted, strict=True)
        ]
        result = compare(spoken, reference)
        figures[name] = {"value": result.follows_description, **result.by_axis}
    return figures


def voices(clips: Sequence[Clip], verdicts: Sequence[Verdict], machine: Verdict) -> dict[str, Any]:
    """People told apart; the same recordings under shuffled names; and copies of one recording."""
    reference = load_reference()
    spoken = [Spoken(c.speaker, c.name, v.details) for c, v in zip(clips, verdicts, strict=True)]
    names = np.random.default_rng(0).permutation([s.speaker for s in spoken])
    shuffled = [replace(s, speaker=str(n)) for s, n in zip(spoken, names, strict=True)]
    copies = [replace(s, measures=machine.details) for s in spoken]
    return {
        "people": _told(compare(spoken, reference)),
        "names shuffled": _told(compare(shuffled, reference)),
        "one recording": _told(compare(copies, reference)),
    }


def copies(clip: Clip, count: int, jobs: int) -> dict[str, float]:
    """``distinct`` for one recording that was disguised before each use."""
    rng = np.random.default_rng(0)
    x = clip.samples
    level = float(np.sqrt(np.mean(x.astype(np.float64) ** 2)))
    disguised = {
        "gain": [x * np.float32(rng.uniform(0.3, 1.0)) for _ in range(count)],
        "noise at 30 dB": [
            np.asarray(x + rng.normal(0.0, level / 31.6, len(x)), dtype=np.float32)
            for _ in range(count)
        ],
        "trimmed by up to 0.3 s": [x[: len(x) - rng.integers(0, 4_800)] for _ in range(count)],
    }
    reference = load_reference()
    figures = {}
    for name, versions in disguised.items():
        verdicts = judge_all([Task(v) for v in versions], f"copies: {name}", jobs)
        spoken = [Spoken("one", str(i), v.details) for i, v in enumerate(verdicts)]
        figures[name] = round(compare(spoken, reference).distinct, 4)
    return figures


def _told(result: AcrossPrompts) -> dict[str, float | None]:
    return {"voices": result.voices, "distinct": result.distinct}


def _relative(verdict: Verdict, own: Verdict) -> dict[str, float]:
    moved = {
        measure: verdict.details[measure] - own.details[measure]
        for measure in AXES.values()
        if measure in verdict.details and measure in own.details
    }
    return {**verdict.details, **moved}


def _with_contour(x: Samples, shift: float, stretch: float) -> Samples:
    """Shift the pitch by semitones and stretch it around its median."""
    manipulation = call(
        parselmouth.Sound(x.astype(np.float64), RATE), "To Manipulation", 0.01, 75, 500
    )
    tier = call(manipulation, "Extract pitch tier")
    points = call(tier, "Get number of points")
    if points == 0:
        return x
    middle = float(np.median([call(tier, "Get value at index", i + 1) for i in range(points)]))
    factor = 2.0 ** (shift / 12.0)
    call(tier, "Formula", f"{middle * factor} * (self / {middle}) ^ {stretch}")
    call([manipulation, tier], "Replace pitch tier")
    resynthesis = call(manipulation, "Get resynthesis (overlap-add)")
    return np.asarray(resynthesis.values[0], dtype=np.float32)
