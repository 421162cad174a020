"""Long audio in pieces that fit Whisper's window.

Whisper can find its own place in long audio by predicting timestamps, but hostile audio can make
it predict tiny steps and so run for minutes. Cutting at quiet places beforehand bounds the work to
a known number of windows, and every recogniser hears the same pieces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoring.asr.base import SAMPLE_RATE

WINDOW = 30 * SAMPLE_RATE
# A cut is looked for where the window is between two thirds full and full: speech rarely goes on
# for ten seconds without a breath.
_EARLIEST_CUT = 20 * SAMPLE_RATE
_FRAME = SAMPLE_RATE // 10


def windows(samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Split 16 kHz ``samples`` (n,) into pieces of at most 30 s, cut where it is quietest."""
    pieces: list[NDArray[np.float32]] = []
    while len(samples) > WINDOW:
        cut = _quietest(samples[_EARLIEST_CUT:WINDOW]) + _EARLIEST_CUT
        pieces.append(samples[:cut])
        samples = samples[cut:]
    return [*pieces, samples]


def _quietest(samples: NDArray[np.float32]) -> int:
    """The middle of the 100 ms with the least energy; the first of equals."""
    energy = (samples.reshape(-1, _FRAME).astype(np.float64) ** 2).sum(axis=1)
    return int(energy.argmin()) * _FRAME + _FRAME // 2
