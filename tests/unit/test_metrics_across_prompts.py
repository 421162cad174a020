"""What only a whole evaluation shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from scoring.metrics.across_prompts import AXES, Spoken, compare
from scoring.metrics.human_reference import load_reference
from scoring.metrics.parts import TWO_SIDED

REFERENCE = load_reference()
TIMBRE = [name for name in REFERENCE.statistics if name.startswith("timbre_")]
OTHERS = [name for names in TWO_SIDED.values() for name in names] + ["pitch_level"]


@dataclass(frozen=True)
class Wish:
    pitch_level: int = 0
    pitch_range: int = 0
    rate: int = 0
    energy: int = 0


def clip(rng: np.random.Generator, *, voice: float = 0.0, spread: float = 0.4) -> dict[str, float]:
    """A clip of a voice that lies ``voice`` spreads of people from the median."""
    found = {"energy": float(rng.normal())}
    for name in (*TIMBRE, *OTHERS):
        statistic = REFERENCE.statistics[name]
        unit = (statistic.q95 - statistic.q05) / 3.29
        found[name] = statistic.median + unit * (voice + float(rng.normal(0.0, spread)))
    return found


def evaluation(voices: dict[str, float], each: int = 8) -> list[Spoken]:
    rng = np.random.default_rng(0)
    return [
        Spoken(name, f"{name} {i}", clip(rng, voice=voice))
        for name, voice in voices.items()
        for i in range(each)
    ]


def test_speakers_with_voices_of_their_own_are_told_apart() -> None:
    own = compare(evaluation({"a": -1.5, "b": 0.0, "c": 1.5}), REFERENCE)
    alike = compare(evaluation({"a": 0.0, "b": 0.0, "c": 0.0}), REFERENCE)

    assert own.voices is not None
    assert alike.voices is not None
    assert own.voices > 0.9
    assert alike.voices < 0.2


def test_a_speaker_with_another_voice_each_time_is_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    spoken = [Spoken("abc"[i % 3], str(i), clip(rng, voice=float(rng.normal()))) for i in range(30)]

    voices = compare(spoken, REFERENCE).voices
    assert voices is not None
    assert voices < 0.2


def test_one_speaker_alone_gives_no_occasion_to_tell_voices_apart() -> None:
    result = compare(evaluation({"a": 0.0}), REFERENCE)

    assert result.voices is None
    assert result.follows_description is None


def test_one_recording_for_all_prompts_is_found_and_different_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    once = clip(rng)
    copies = [Spoken("a", str(i), once) for i in range(10)]

    assert compare(copies, REFERENCE).distinct == pytest.approx(0.1)
    assert compare(evaluation({"a": 0.0}), REFERENCE).distinct == 1.0


def test_the_same_text_may_sound_the_same() -> None:
    once = clip(np.random.default_rng(0))

    assert compare([Spoken("a", "Yes.", once)] * 3, REFERENCE).distinct == 1.0


@pytest.mark.parametrize(("obeys", "expected"), [(1.0, 1.0), (0.0, 0.0), (-1.0, 0.0)])
def test_whoever_does_as_asked_follows_the_description(obeys: float, expected: float) -> None:
    rng = np.random.default_rng(0)
    spoken = []
    for i in range(200):
        level = i % 3 - 1
        found = clip(rng)
        for measure in AXES.values():
            found[measure] = obeys * level + float(rng.normal(0.0, 0.1))
        spoken.append(Spoken("ab"[i % 2], str(i), found, Wish(level, level, level, level)))

    result = compare(spoken, REFERENCE)
    assert result.follows_description == pytest.approx(expected, abs=0.05)
    assert set(result.by_axis) == set(AXES)


def test_a_difference_between_speakers_is_not_taken_for_obedience() -> None:
    """A high voice that is always asked to be high follows nothing."""
    rng = np.random.default_rng(0)
    high = [Spoken("high", f"h{i}", clip(rng, voice=2.0), Wish(pitch_level=1)) for i in range(9)]
    low = [Spoken("low", f"l{i}", clip(rng, voice=-2.0), Wish(pitch_level=-1)) for i in range(9)]

    assert compare(high + low, REFERENCE).follows_description is None


def test_no_speech_at_all_is_compared_with_nothing() -> None:
    result = compare([Spoken("a", "b", {"speech_share": 0.0})], REFERENCE)

    assert (result.distinct, result.voices, result.follows_description) == (1.0, None, None)
