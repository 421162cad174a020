"""Fundamental frequency by autocorrelation and the cheapest path through its candidates.

The method is that of Boersma (1993, Proc. Institute of Phonetic Sciences 17, 97-110), with his
costs: peaks of the autocorrelation, corrected for the window's own, compete with each other and
with "unvoiced", and dynamic programming picks the path. It is deterministic and needs no model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoring.metrics.preparation import SAMPLE_RATE

HOP = 160
"""Samples between frames: 10 ms."""

LOWEST_HZ = 65.0
HIGHEST_HZ = 500.0

# Three periods of the lowest pitch.
_WINDOW = int(3 * SAMPLE_RATE / LOWEST_HZ)
_FFT = 2_048
_CANDIDATES = 6
_VOICING_THRESHOLD = 0.45
_SILENCE_THRESHOLD = 0.03
_OCTAVE_COST = 0.01
_OCTAVE_JUMP_COST = 0.35
_VOICING_COST = 0.14
_BLOCK = 2_048


def track_pitch(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """F0 in Hz of each 10 ms frame (n // HOP,) of 16 kHz ``samples`` (n,); NaN where unvoiced."""
    count = len(samples) // HOP
    if count == 0:
        return np.zeros(0)
    padded = np.pad(samples.astype(np.float64), _WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[HOP // 2 :: HOP][:count]
    loudest = max(float(np.abs(samples).max()), 1e-9)
    blocks = [_candidates(frames[i : i + _BLOCK], loudest) for i in range(0, count, _BLOCK)]
    hertz = np.concatenate([b[0] for b in blocks])
    strength = np.concatenate([b[1] for b in blocks])
    return _cheapest_path(hertz, strength)


def semitones(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Semitones above 100 Hz."""
    return np.asarray(12.0 * np.log2(hertz / 100.0))


def _candidates(
    frames: NDArray[np.float64], loudest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies and strengths (n, 1 + _CANDIDATES); the first is "unvoiced", as NaN."""
    frames = frames - frames.mean(axis=1, keepdims=True)
    window = np.hanning(_WINDOW)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, _FFT)) ** 2)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames * window, _FFT, axis=1)) ** 2, axis=1)
    power = np.maximum(correlation[:, :1], 1e-12)
    shortest, longest = int(SAMPLE_RATE / HIGHEST_HZ), int(SAMPLE_RATE / LOWEST_HZ)
    lags = np.arange(shortest, longest + 1)
    around = slice(shortest - 1, longest + 2)
    r = correlation[:, around] / power / (own[around] / own[0])

    left, middle, right = r[:, :-2], r[:, 1:-1], r[:, 2:]
    peak = (middle >= left) & (middle > right) & (middle > 0.0)
    curve = np.where(peak, left - 2.0 * middle + right, -1.0)
    shift = np.where(peak, 0.5 * (left - right) / curve, 0.0)
    height = np.minimum(middle - 0.25 * (left - right) * shift, 1.0)
    hertz = SAMPLE_RATE / (lags + shift)
    strength = np.where(peak, height - _OCTAVE_COST * np.log2(LOWEST_HZ / hertz), -np.inf)

    best = np.argpartition(-strength, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    quiet = np.abs(frames).max(axis=1) / loudest
    silence = 2.0 - quiet / (_SILENCE_THRESHOLD / (1.0 + _VOICING_THRESHOLD))
    unvoiced = _VOICING_THRESHOLD + np.maximum(0.0, silence)
    return (
        np.column_stack([np.full(len(frames), np.nan), np.take_along_axis(hertz, best, axis=1)]),
        np.column_stack([unvoiced, np.take_along_axis(strength, best, axis=1)]),
    )


def _cheapest_path(
    hertz: NDArray[np.float64], strength: NDArray[np.float64]
) -> NDArray[np.float64]:
    octaves = np.log2(np.where(np.isnan(hertz), 1.0, hertz))
    score = strength[0]
    came_from = np.zeros(hertz.shape, dtype=np.int64)
    jump = _OCTAVE_JUMP_COST * np.abs(octaves[1:, None, :] - octaves[:-1, :, None])
    # Candidate 0 is "unvoiced": to enter and to leave it has a price of its own.
    jump[:, 0, :] = _VOICING_COST
    jump[:, :, 0] = _VOICING_COST
    jump[:, 0, 0] = 0.0
    for i in range(1, len(hertz)):
        total = score[:, None] - jump[i - 1]
        came_from[i] = total.argmax(axis=0)
        score = total.max(axis=0) + strength[i]
    path = np.zeros(len(hertz), dtype=np.int64)
    path[-1] = int(score.argmax())
    for i in range(len(hertz) - 1, 0, -1):
        path[i - 1] = came_from[i, path[i]]
    return np.asarray(hertz[np.arange(len(hertz)), path])
