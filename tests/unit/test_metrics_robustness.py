"""Any audio that passes the check gets a finite figure, soon."""

from __future__ import annotations

import time
from collections.abc import Callable

import hibari
import numpy as np
import pytest

from scoring.audio import Audio, UnscorableAudioError
from scoring.metrics.human_likeness import HumanLikeness

RATE = 16_000


@pytest.fixture(scope="module")
def likeness() -> HumanLikeness:
    return HumanLikeness()


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return hibari.Hibari(threads=1)("Nobody told me that it would rain today.", seed=0)


def impulse() -> np.ndarray:
    return np.eye(1, RATE, RATE // 2)[0]


def tone() -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)


def third_of_a_second() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(int(0.31 * RATE))


def square() -> np.ndarray:
    return np.sign(tone())


def full_scale_noise() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, 2 * RATE)


def one_sample_alive() -> np.ndarray:
    return np.concatenate([np.zeros(RATE), [1.0]])


@pytest.mark.parametrize(
    "sound", [impulse, tone, third_of_a_second, square, full_scale_noise, one_sample_alive]
)
def test_odd_sounds_have_a_finite_figure_near_zero(
    likeness: HumanLikeness, sound: Callable[[], np.ndarray]
) -> None:
    measure = likeness.measure(Audio(sound().astype(np.float32), RATE))

    assert 0.0 <= measure.value <= 0.05
    assert np.isfinite(list(measure.details.values())).all()


@pytest.mark.parametrize("rate", [8_000, 12_000, 48_000, 96_000])
def test_a_wrong_sample_rate_is_another_voice_and_no_crash(
    likeness: HumanLikeness, voice: np.ndarray, rate: int
) -> None:
    measure = likeness.measure(Audio(voice, rate))

    right = likeness.measure(Audio(voice, hibari.SAMPLE_RATE)).value
    assert 0.0 <= measure.value < right
    assert np.isfinite(list(measure.details.values())).all()


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0),
        np.full(RATE // 4, 0.1),
        np.zeros(RATE),
        np.full(RATE, 0.3),
        np.full(RATE, np.nan),
        np.full(RATE, np.inf),
        np.zeros(600 * RATE),
    ],
    ids=["empty", "short", "silent", "offset only", "NaN", "infinite", "ten minutes"],
)
def test_what_cannot_be_scored_is_a_typed_refusal(
    likeness: HumanLikeness, samples: np.ndarray
) -> None:
    with pytest.raises(UnscorableAudioError):
        likeness.measure(Audio(samples.astype(np.float32), RATE))


def test_the_longest_audio_is_measured_in_bounded_time(
    likeness: HumanLikeness, voice: np.ndarray
) -> None:
    long = Audio(np.resize(voice, 119 * hibari.SAMPLE_RATE), hibari.SAMPLE_RATE)

    start = time.process_time()
    assert 0.0 <= likeness.measure(long).value <= 1.0
    assert time.process_time() - start < 0.15 * long.seconds
