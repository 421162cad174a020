"""The measures move as the sound does."""

from __future__ import annotations

from collections.abc import Callable

import hibari
import numpy as np
import pytest
import soxr
from scipy.signal import butter, sosfiltfilt

from scoring.audio import Audio
from scoring.metrics.parts import TWO_SIDED, measure_speech
from scoring.metrics.preparation import SAMPLE_RATE, prepare
from scoring.metrics.speech_frames import analyse

LINE = "Did anybody see where the little black cat went this morning, before the rain began?"
Samples = np.ndarray


@pytest.fixture(scope="module")
def voice() -> Samples:
    spoken = hibari.Hibari(threads=1)(LINE, seed=0)
    return prepare(Audio(spoken, hibari.SAMPLE_RATE))


def measures(samples: Samples) -> dict[str, float]:
    return measure_speech(analyse(prepare(Audio(samples.astype(np.float32), SAMPLE_RATE))))


def noisy(x: Samples) -> Samples:
    return x + np.random.default_rng(0).standard_normal(len(x)) * np.std(x) * 0.5


def clipped(x: Samples) -> Samples:
    limit = np.quantile(np.abs(x), 0.8)
    return np.clip(x, -limit, limit)


def narrow(x: Samples) -> Samples:
    return sosfiltfilt(butter(10, 4_000, fs=SAMPLE_RATE, output="sos"), x)


def backwards(x: Samples) -> Samples:
    return x[::-1]


def looped(x: Samples) -> Samples:
    return np.tile(x[: SAMPLE_RATE * 3 // 2], 3)


def faster(x: Samples) -> Samples:
    return soxr.resample(x, SAMPLE_RATE * 1.5, SAMPLE_RATE)


def slower(x: Samples) -> Samples:
    return soxr.resample(x, SAMPLE_RATE / 1.5, SAMPLE_RATE)


def with_a_pause(x: Samples) -> Samples:
    return np.concatenate([x, np.zeros(2 * SAMPLE_RATE), x])


@pytest.mark.parametrize(
    ("change", "name", "sign"),
    [
        (noisy, "flux_ratio", 1),
        (noisy, "cepstral_spread", -1),
        (noisy, "noise_floor", -1),
        (clipped, "peak_share", 1),
        (narrow, "high_band", -1),
        (backwards, "attack", -1),
        (looped, "repetition", 1),
        (faster, "tempo", 1),
        (slower, "syllable_rate", -1),
        (faster, "pitch_level", 1),
        (with_a_pause, "pause_longest", 1),
    ],
)
def test_a_measure_notices(
    voice: Samples, change: Callable[[Samples], Samples], name: str, sign: int
) -> None:
    assert sign * (measures(change(voice))[name] - measures(voice)[name]) > 0.0


def test_speech_has_every_measure_of_every_part(voice: Samples) -> None:
    found = measures(voice)

    assert {name for names in TWO_SIDED.values() for name in names} <= found.keys()
    assert np.isfinite(list(found.values())).all()


def test_loudness_changes_nothing(voice: Samples) -> None:
    quiet, loud = measures(voice * 0.05), measures(voice)

    assert quiet == pytest.approx(loud, rel=1e-3, abs=1e-3)


def test_a_sound_without_speech_has_nothing_but_its_share() -> None:
    noise = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE)

    assert measures(noise).keys() == {"speech_share"}


@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.8])
def test_a_short_piece_is_measured_as_far_as_it_goes(voice: Samples, seconds: float) -> None:
    start = SAMPLE_RATE // 2
    found = measures(voice[start : start + int(seconds * SAMPLE_RATE)])

    assert np.isfinite(list(found.values())).all()
