"""One band and one loudness for all audio."""

from __future__ import annotations

import hibari
import numpy as np
import pytest

from scoring.audio import Audio, UnscorableAudioError, resample
from scoring.metrics.preparation import LEVEL_DB, prepare


@pytest.fixture(scope="module")
def speech() -> Audio:
    voice = hibari.Hibari(threads=1)
    return Audio(voice("You know that we have to be there at seven.", seed=0), hibari.SAMPLE_RATE)


def scaled(audio: Audio, gain: float, offset: float = 0.0) -> Audio:
    return Audio((audio.samples * gain + offset).astype(np.float32), audio.sample_rate)


@pytest.mark.parametrize(("gain", "offset"), [(0.01, 0.0), (0.3, 0.2), (10.0, -0.5), (-1.0, 0.0)])
def test_level_polarity_and_offset_of_the_recording_do_not_matter(
    speech: Audio, gain: float, offset: float
) -> None:
    expected = prepare(speech) * np.sign(gain)
    assert prepare(scaled(speech, gain, offset)) == pytest.approx(expected, abs=1e-4)


def test_a_higher_sample_rate_changes_nothing(speech: Audio) -> None:
    once, twice = prepare(speech), prepare(resample(speech, 44_100))
    assert len(once) == pytest.approx(len(twice), abs=1)
    shared = min(len(once), len(twice))
    assert np.sqrt(np.mean((once[:shared] - twice[:shared]) ** 2)) < 1e-3


def test_pauses_do_not_make_the_speech_louder(speech: Audio) -> None:
    pause = np.zeros(3 * speech.sample_rate, np.float32)
    long = Audio(np.concatenate([pause, speech.samples, pause]), speech.sample_rate)
    assert np.abs(prepare(long)).max() == pytest.approx(np.abs(prepare(speech)).max(), rel=0.02)


def test_the_level_is_the_stated_one() -> None:
    tone = np.sin(2 * np.pi * 300 * np.arange(32_000) / 16_000).astype(np.float32)
    level = 10 * np.log10(np.mean(prepare(Audio(tone, 16_000)).astype(np.float64) ** 2))
    assert level == pytest.approx(LEVEL_DB, abs=0.1)


def test_less_than_a_block_and_faint_noise_are_levelled_too() -> None:
    noise = 1e-4 * np.random.default_rng(0).standard_normal(5_000, dtype=np.float32)
    prepared = prepare(Audio(noise, 16_000)).astype(np.float64)
    assert 10 * np.log10(np.mean(prepared**2)) == pytest.approx(LEVEL_DB, abs=0.1)
    long = np.tile(noise, 4)
    assert 10 * np.log10(np.mean(prepare(Audio(long, 16_000)) ** 2)) == pytest.approx(-26, abs=0.1)


def test_sound_above_the_band_alone_cannot_be_scored() -> None:
    whistle = 0.5 * np.sin(2 * np.pi * 15_000 * np.arange(44_100) / 44_100)
    whistle *= np.hanning(44_100)
    with pytest.raises(UnscorableAudioError, match="silent below 8000 Hz"):
        prepare(Audio(whistle.astype(np.float32), 44_100))


def test_what_cannot_be_scored_is_not_prepared() -> None:
    with pytest.raises(UnscorableAudioError, match="silent"):
        prepare(Audio(np.zeros(16_000, np.float32), 16_000))
