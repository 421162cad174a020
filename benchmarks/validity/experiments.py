"""The experiments; each returns what goes into the JSON."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.validity.alterations import ALTERATIONS, Alteration, resynthesised
from benchmarks.validity.clips import Clip
from benchmarks.validity.judge import Task, Verdict, judge_all
from benchmarks.validity.statistics import (
    mean_difference,
    paired_auc,
    paired_share,
    resolvable_difference,
    unpaired_auc,
)
from scoring.metrics.human_likeness import WEIGHTS
from scoring.tts.total import sample_score

PARTS = tuple(WEIGHTS)

Score = Callable[[Verdict, str], float]


def originals(clips: Sequence[Clip], jobs: int, *, transcribe: bool) -> list[Verdict]:
    """Verdicts on clips as they are."""
    return judge_all([Task(c.samples, transcribe) for c in clips], "originals", jobs)


def voice_pairs(clips: Sequence[Clip], before: Sequence[Verdict], jobs: int) -> dict[str, Any]:
    """Alterations that the voice alone should give away, by human likeness; the share for each
    part beside it, and overlap-add without any change as the control."""
    alterations = {n: a for n, a in ALTERATIONS.items() if a.caught_by == "likeness"}
    control = Alteration(resynthesised, (), 0.0, "likeness")
    figures: dict[str, Any] = {}
    for name, alteration in {**alterations, "control: overlap-add": control}.items():
        after = _altered(name, alteration, alteration.full, clips, jobs, transcribe=False)
        figures[name] = _voice_figure(clips, before, after)
    return figures


def text_pairs(
    clips: Sequence[Clip], texts: Sequence[str], before: Sequence[Verdict], jobs: int
) -> dict[str, Any]:
    """Alterations of what is said, by the total; the likeness alone beside it."""
    speakers = [c.speaker for c in clips]
    intact = [v.total(t) for v, t in zip(before, texts, strict=True)]
    figures: dict[str, Any] = {}
    for name, alteration in ALTERATIONS.items():
        if alteration.caught_by != "total":
            continue
        after = _altered(name, alteration, alteration.full, clips, jobs, transcribe=True)
        totals = [v.total(t) for v, t in zip(after, texts, strict=True)]
        alone = paired_share([v.likeness for v in before], [v.likeness for v in after], speakers)
        figures[name] = _text_figure(intact, totals, speakers)
        figures[name]["likeness_alone"] = round(alone.value, 4)
    # The words that were heard stay as they are: only what should have been said changes.
    wrong = [v.total(t) for v, t in zip(before, [*texts[1:], texts[0]], strict=True)]
    once = [before[0].total(t) for t in texts[1:]]
    figures["wrong text"] = _text_figure(intact, wrong, speakers)
    figures["one recording for all prompts"] = _text_figure(intact[1:], once, speakers[1:])
    return figures


def dose_response(
    clips: Sequence[Clip], texts: Sequence[str], before: Sequence[Verdict], jobs: int
) -> dict[str, Any]:
    """Mean score at each strength, from none to heavy."""
    figures: dict[str, Any] = {}
    for name, alteration in ALTERATIONS.items():
        total = alteration.caught_by == "total"
        means = [_mean_score(before, texts, total=total)]
        for strength in alteration.strengths:
            after = _altered(name, alteration, strength, clips, jobs, transcribe=total)
            means.append(_mean_score(after, texts, total=total))
        figures[name] = {
            "strengths": list(alteration.strengths),
            "means": [round(m, 4) for m in means],
            "falls_with_every_step": bool(np.all(np.diff(means) < 0.0)),
        }
    return figures


def no_speech(human_median: float, jobs: int) -> dict[str, Any]:
    """Likeness of sounds that nobody utters, relative to the median of people."""
    sounds = nonspeech()
    verdicts = judge_all([Task(s) for s in sounds.values()], "no speech", jobs)
    return {
        name: round(v.likeness / human_median, 4) for name, v in zip(sounds, verdicts, strict=True)
    }


def systems(
    humans: Sequence[Clip],
    human_verdicts: Sequence[Verdict],
    others: Mapping[str, Sequence[Clip]],
    jobs: int,
) -> dict[str, Any]:
    """Each system against recordings of its own texts, and against all held-out recordings."""
    held_out = [i for i, c in enumerate(humans) if c.held_out]
    by_text = {c.text: i for i, c in enumerate(humans) if c.text is not None}
    figures: dict[str, Any] = {}
    for name, clips in others.items():
        verdicts = judge_all([Task(c.samples, transcribe=True) for c in clips], name, jobs)
        figures[name] = {
            "clips": len(clips),
            "likeness": round(float(np.mean([v.likeness for v in verdicts])), 4),
            "wer": round(
                float(np.mean([v.wer(c.text or "") for c, v in zip(clips, verdicts, strict=True)])),
                4,
            ),
            "parts": {
                p: round(float(np.mean([v.details.get(p, 0.0) for v in verdicts])), 4)
                for p in PARTS
            },
            "unpaired_auc": unpaired_auc(
                [human_verdicts[i].likeness for i in held_out],
                [humans[i].speaker for i in held_out],
                [v.likeness for v in verdicts],
            ).as_json(),
        }
        pairs = [
            (by_text[c.text], v) for c, v in zip(clips, verdicts, strict=True) if c.text in by_text
        ]
        if pairs:
            figures[name] |= _paired_system(humans, human_verdicts, pairs)
    return figures


def resolution(clips: Sequence[Clip], before: Sequence[Verdict], jobs: int) -> dict[str, float]:
    """From the originals, and the same at 15 dB of noise as the worse version."""
    worse = _altered("noise 5 dB", ALTERATIONS["noise 5 dB"], 15.0, clips, jobs, transcribe=False)
    good = [v.likeness for v in before]
    return {
        f"N={n}": round(resolvable_difference(good, [v.likeness for v in worse], n), 4)
        for n in (100, 1_000)
    }


def nonspeech() -> dict[str, NDArray[np.float32]]:
    """Three seconds each of what is not speech."""
    rate, rng = 16_000, np.random.default_rng(0)
    t = np.arange(3 * rate) / rate
    chord = sum(np.sin(2 * np.pi * 220 * 2 ** (k / 12) * t) for k in (0, 4, 7))
    notes = np.repeat(rng.integers(0, 13, 12), rate // 4)
    melody = np.sin(2 * np.pi * np.cumsum(220 * 2.0 ** (notes / 12)) / rate)
    sounds = {
        "near silence": 1e-4 * rng.standard_normal(len(t)),
        "buzz": 0.2 * np.sign(np.sin(2 * np.pi * 120 * t)),
        "white noise": 0.1 * rng.standard_normal(len(t)),
        "music": 0.1 * (chord * np.exp(-4 * (t % 0.5)) + melody * np.exp(-6 * (t % 0.25))),
    }
    return {name: np.asarray(sound, dtype=np.float32) for name, sound in sounds.items()}


def _paired_system(
    humans: Sequence[Clip], verdicts: Sequence[Verdict], pairs: Sequence[tuple[int, Verdict]]
) -> dict[str, Any]:
    people = [verdicts[i].likeness for i, _ in pairs]
    machine = [v.likeness for _, v in pairs]
    speakers = [humans[i].speaker for i, _ in pairs]
    difference = mean_difference(people, machine, speakers)
    return {
        "paired_auc": paired_auc(people, machine, speakers).as_json(),
        "human_minus_system": difference.as_json(),
        "significantly_above_human": difference.high < 0.0,
    }


def _voice_figure(
    clips: Sequence[Clip], before: Sequence[Verdict], after: Sequence[Verdict]
) -> dict[str, Any]:
    speakers = [c.speaker for c in clips]
    whole = paired_share([v.likeness for v in before], [v.likeness for v in after], speakers)
    parts = {
        part: paired_share(_part(before, part), _part(after, part), speakers).value
        for part in PARTS
    }
    return {
        **whole.as_json(),
        "mean_before": round(float(np.mean([v.likeness for v in before])), 4),
        "mean_after": round(float(np.mean([v.likeness for v in after])), 4),
        "parts": {part: round(value, 3) for part, value in parts.items()},
    }


def _text_figure(
    before: Sequence[float], after: Sequence[float], speakers: Sequence[str]
) -> dict[str, float]:
    return {
        **paired_share(before, after, speakers).as_json(),
        "mean_before": round(float(np.mean(before)), 4),
        "mean_after": round(float(np.mean(after)), 4),
    }


def _part(verdicts: Sequence[Verdict], part: str) -> list[float]:
    return [v.details.get(part, 0.0) for v in verdicts]


def _mean_score(verdicts: Sequence[Verdict], texts: Sequence[str], *, total: bool) -> float:
    if not total:
        return float(np.mean([v.likeness for v in verdicts]))
    wer = float(np.mean([min(v.wer(t), 1.0) for v, t in zip(verdicts, texts, strict=True)]))
    return sample_score(wer, float(np.mean([v.likeness for v in verdicts])))


def _altered(
    name: str,
    alteration: Alteration,
    strength: float,
    clips: Sequence[Clip],
    jobs: int,
    *,
    transcribe: bool,
) -> list[Verdict]:
    tasks = [Task(alteration.apply(c.samples, strength, _rng(name, c)), transcribe) for c in clips]
    return judge_all(tasks, f"{name} {strength:g}", jobs)


def _rng(name: str, clip: Clip) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{name} {clip.name}".encode()))
