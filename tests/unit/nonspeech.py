"""Sounds that nobody takes for speech, made from seeds; each is float32 at 16 kHz."""

from __future__ import annotations

import numpy as np

from scoring.audio import Audio

RATE = 16_000
SECONDS = 4
_T = np.arange(SECONDS * RATE) / RATE


def white_noise() -> Audio:
    return _audio(0.1 * np.random.default_rng(0).standard_normal(len(_T)))


def throbbing_noise() -> Audio:
    """Noise that swells as fast as syllables do."""
    noise = np.random.default_rng(1).standard_normal(len(_T))
    return _audio(0.1 * noise * (1.0 + np.sin(2 * np.pi * 4 * _T)))


def near_silence() -> Audio:
    """The noise of a microphone in an empty room, 80 dB below full scale."""
    return _audio(1e-4 * np.random.default_rng(2).standard_normal(len(_T)))


def buzz() -> Audio:
    return _audio(0.2 * np.sign(np.sin(2 * np.pi * 120 * _T)))


def warbling_buzz() -> Audio:
    """A sawtooth at the pitch and with the melody and rhythm of a man's voice."""
    pitch = 120 * (1.0 + 0.1 * np.sin(2 * np.pi * 3 * _T))
    return _audio(0.3 * (np.cumsum(pitch) / RATE % 1 - 0.5) * (1.0 + np.sin(2 * np.pi * 4 * _T)))


def chords() -> Audio:
    """Plucked triads, four to the second."""
    samples = np.zeros(len(_T))
    for beat in range(16):
        start = beat * RATE // 4
        t = _T[: len(_T) - start]
        for step in ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7))[beat // 4]:
            for harmonic in range(1, 6):
                pitch = 220 * 2 ** (step / 12) * harmonic
                samples[start:] += np.sin(2 * np.pi * pitch * t) * np.exp(-4 * t) / harmonic
    return _audio(0.05 * samples)


def melody() -> Audio:
    """A scale on something like a violin."""
    notes = [_note(220 * 2 ** (step / 12)) for step in (0, 2, 4, 5, 7, 9, 11, 12)]
    return _audio(0.1 * np.concatenate(notes))


def _note(pitch: float) -> np.ndarray:
    t = _T[: RATE // 2]
    vibrato = 0.3 * np.sin(2 * np.pi * 5 * t)
    swell = np.minimum(1, 20 * t) * np.minimum(1, 20 * (0.5 - t))
    harmonics = range(1, 10)
    return swell * sum(np.sin(2 * np.pi * pitch * h * t + vibrato) / h for h in harmonics)


def _audio(samples: np.ndarray) -> Audio:
    return Audio(samples.astype(np.float32), RATE)


ALL = (white_noise, throbbing_noise, near_silence, buzz, warbling_buzz, chords, melody)
