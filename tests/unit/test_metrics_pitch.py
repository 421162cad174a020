"""The pitch tracker on sounds whose pitch is known."""

from __future__ import annotations

import hibari
import numpy as np
import pytest

from scoring.audio import Audio
from scoring.metrics.pitch import HOP, semitones, track_pitch
from scoring.metrics.preparation import prepare

RATE = 16_000


def pulses(hertz: np.ndarray) -> np.ndarray:
    """Harmonics up to 4 kHz, falling by 6 dB an octave, with the instantaneous pitch ``hertz``."""
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    harmonics = range(1, int(4_000 / hertz.max()) + 1)
    return (0.1 * sum(np.sin(k * phase) / k for k in harmonics)).astype(np.float32)


@pytest.mark.parametrize("hertz", [80.0, 120.0, 200.0, 310.0, 450.0])
def test_a_steady_pitch_is_found_to_a_tenth_of_a_semitone(hertz: float) -> None:
    pitch = track_pitch(pulses(np.full(RATE, hertz)))

    inner = pitch[5:-5]
    assert np.isfinite(inner).all()
    assert np.abs(semitones(inner) - semitones(np.array(hertz))).max() < 0.1


def test_a_glide_is_followed() -> None:
    hertz = 120.0 * 2 ** np.linspace(0, 1, RATE)
    pitch = track_pitch(pulses(hertz))

    true = hertz[HOP // 2 :: HOP]
    assert np.nanmedian(np.abs(12 * np.log2(pitch / true))) < 0.1


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)

    assert np.isnan(track_pitch(noise)).mean() > 0.9
    assert np.isnan(track_pitch(np.zeros(RATE, np.float32))).all()


def test_speech_has_one_frame_for_each_ten_milliseconds_and_repeats_exactly() -> None:
    voice = hibari.Hibari(threads=1)("Where did the little black cat go?", seed=0)
    samples = prepare(Audio(voice, hibari.SAMPLE_RATE))

    first, second = track_pitch(samples), track_pitch(samples)

    assert len(first) == len(samples) // HOP
    assert np.array_equal(first, second, equal_nan=True)
    assert 0.3 < np.isfinite(first).mean() < 0.95


def test_less_than_a_frame_is_no_frame() -> None:
    assert len(track_pitch(np.zeros(HOP - 1, np.float32))) == 0
