"""A faint, seeded change of the audio before it is recognised.

Audio can be optimised sample by sample until one recogniser hears words that no person does. Such
patterns do not survive a slight change of speed and faint noise that their author cannot foresee;
speech does.
"""

from __future__ import annotations

import numpy as np
import soxr

from scoring.audio import Audio

MAX_SPEED_CHANGE = 0.02
"""Speed and pitch change by up to this share: a third of a semitone, below what listeners mind."""

NOISE_DB = -40.0
"""Level of the white noise relative to the level of the whole recording, in dB."""


def perturb(audio: Audio, seed: int) -> Audio:
    """Resample by up to 2 % and add white noise 40 dB below the audio; the same for equal seeds."""
    rng = np.random.default_rng(seed)
    speed = 1.0 + rng.uniform(-MAX_SPEED_CHANGE, MAX_SPEED_CHANGE)
    samples = soxr.resample(audio.samples, audio.sample_rate * speed, audio.sample_rate, "HQ")
    level = np.sqrt(np.mean(samples.astype(np.float64) ** 2)) * 10.0 ** (NOISE_DB / 20.0)
    noise = rng.standard_normal(len(samples), dtype=np.float32) * np.float32(level)
    return Audio(samples + noise, audio.sample_rate)
