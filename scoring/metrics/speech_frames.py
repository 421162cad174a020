"""One recording cut into 10 ms frames: what every part of human likeness looks at.

Computed once and shared, because the spectra cost more than all the statistics drawn from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from scoring.metrics.pitch import HOP, track_pitch
from scoring.metrics.preparation import SAMPLE_RATE
from scoring.metrics.speech_gate import FRAME, SPEECH_PROBABILITY, speech_probabilities

FRAME_RATE = SAMPLE_RATE / HOP
"""Frames per second."""

_WINDOW = 400
_FFT = 512
_MELS = 40
_CEPSTRA = 13
# 80 dB below the level of the speech: below 16-bit rounding of most recordings.
_FLOOR = 1e-8


@dataclass(frozen=True)
class SpeechFrames:
    """n frames of prepared audio; ``samples`` of shape (m,) at 16 kHz."""

    samples: NDArray[np.float32]
    speech_probabilities: NDArray[np.float64]
    """Silero's, one per 32 ms."""
    speech: NDArray[np.bool_]
    """(n,) whether the frame lies in speech."""
    power: NDArray[np.float64]
    """(n, 257) power spectra."""
    mel: NDArray[np.float64]
    """(n, 40) log energies in mel bands, natural logarithm."""
    cepstra: NDArray[np.float64]
    """(n, 13) mel cepstra, the level first."""
    level: NDArray[np.float64]
    """(n,) dB."""
    pitch: NDArray[np.float64]
    """(n,) Hz; NaN where unvoiced or not speech."""

    @property
    def speech_seconds(self) -> float:
        """Duration of the frames in speech."""
        return float(self.speech.sum() / FRAME_RATE)


def analyse(samples: NDArray[np.float32]) -> SpeechFrames:
    """Frames of prepared ``samples`` (m,), at least 0.3 s of them."""
    pitch = track_pitch(samples)
    count = len(pitch)
    probabilities = speech_probabilities(samples)
    speech = np.repeat(probabilities >= SPEECH_PROBABILITY, FRAME)[HOP // 2 :: HOP][:count]

    emphasised = samples.astype(np.float64)
    emphasised[1:] -= 0.97 * emphasised[:-1]
    padded = np.pad(emphasised, _WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[HOP // 2 :: HOP][:count]
    power = np.abs(np.fft.rfft(frames * np.hamming(_WINDOW), _FFT, axis=1)) ** 2
    mel = np.log(power @ _filters().T + _FLOOR)
    cepstra = dct(mel, type=2, axis=1, norm="ortho")[:, :_CEPSTRA]
    return SpeechFrames(
        samples=samples,
        speech_probabilities=probabilities,
        speech=speech,
        power=power,
        mel=mel,
        cepstra=cepstra,
        level=10.0 * np.log10(_mean_square(samples, count) + 1e-10),
        pitch=np.where(speech, pitch, np.nan),
    )


def _mean_square(samples: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    squares = np.pad(samples.astype(np.float64) ** 2, _WINDOW // 2)
    return np.asarray(
        np.lib.stride_tricks.sliding_window_view(squares, _WINDOW)[HOP // 2 :: HOP][:count].mean(1)
    )


def _filters() -> NDArray[np.float64]:
    """Triangular filters (40, 257), evenly spaced on O'Shaughnessy's mel scale, 60 to 7,600 Hz."""
    lowest, highest = (2595.0 * math.log10(1.0 + hertz / 700.0) for hertz in (60.0, 7_600.0))
    mels = np.linspace(lowest, highest, _MELS + 2)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(_FFT, 1.0 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))
