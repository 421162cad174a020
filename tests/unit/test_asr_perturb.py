"""The seeded change of the audio before it is recognised."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.asr.perturb import MAX_SPEED_CHANGE, perturb
from scoring.audio import Audio, check

RATE = 24_000


@pytest.fixture
def tone() -> Audio:
    samples = 0.25 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    return Audio(samples.astype(np.float32), RATE)


def test_equal_seeds_give_the_same_bytes_and_others_do_not(tone: Audio) -> None:
    assert perturb(tone, 1).samples.tobytes() == perturb(tone, 1).samples.tobytes()
    assert len(perturb(tone, 1).samples) != len(perturb(tone, 2).samples)


def test_the_speed_changes_within_its_bounds_and_in_both_directions(tone: Audio) -> None:
    changes = [perturb(tone, seed).seconds / tone.seconds - 1 for seed in range(50)]
    assert max(map(abs, changes)) <= MAX_SPEED_CHANGE * 1.03
    assert min(changes) < -0.01
    assert max(changes) > 0.01


def test_the_noise_is_forty_decibels_below_the_audio(tone: Audio) -> None:
    """Beside the tone, whatever its new pitch, there is only the noise."""
    out = perturb(tone, 3)
    power = np.abs(np.fft.rfft(out.samples * np.hanning(len(out.samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(out.samples), 1 / RATE)
    beside = np.abs(frequencies - 440) > 100
    noise = power[beside].mean() * len(power) / power.sum()
    assert 10 * np.log10(noise) == pytest.approx(-40, abs=0.5)


def test_what_could_be_scored_still_can(tone: Audio) -> None:
    out = perturb(tone, 2**63 - 1)
    assert out.samples.dtype == np.float32
    check(out)
