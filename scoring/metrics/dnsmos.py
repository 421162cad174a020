"""DNSMOS: the mean opinion score that listeners would give, as Microsoft's networks predict it.

The networks are those inside the package ``speechmos``: P.835 (signal, background and overall
quality; Reddy et al., 2022) and P.808 (overall quality; Reddy et al., 2021). They are run here
because importing ``speechmos`` compiles for many seconds and uses every core. For a window of
9.01 s the figures are those of ``speechmos``. It is the choice of windows that differs: the fewest
that cover all of the audio, where ``speechmos`` takes one every second, also of audio that it
repeated to fill one, and leaves out the end.

Scores run from 1 to 5. They measure quality, not humanity: good synthesisers score above people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from scoring.audio import Audio
from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.metrics.base import Measure
from scoring.metrics.preparation import SAMPLE_RATE, prepare

WINDOW = 144_160
"""Samples the networks take: 9.01 s at 16 kHz."""

# From the P.835 network's outputs to opinion scores: the polynomials published with DNSMOS,
# highest power first.
_SIGNAL = (-0.08397278, 1.22083953, 0.0052439)
_BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)

# Features of the P.808 network.
_FFT = 321
_HOP = 160
_MELS = 120
_P808_SAMPLES = WINDOW - 160


@dataclass(frozen=True)
class Opinion:
    """Predicted mean opinion scores, nominally 1 to 5."""

    p808: float
    overall: float
    signal: float
    background: float


class Dnsmos:
    """The P.808 score; the others are among the details."""

    name = "dnsmos"

    def measure(self, audio: Audio) -> Measure:
        """Raises UnscorableAudioError for what ``audio.check`` refuses."""
        opinion = self.opinion(prepare(audio))
        return Measure(
            opinion.p808,
            f"listeners would rate the quality {opinion.p808:.2f} of 5",
            {
                "dnsmos_p808": opinion.p808,
                "dnsmos_overall": opinion.overall,
                "dnsmos_signal": opinion.signal,
                "dnsmos_background": opinion.background,
            },
        )

    def opinion(self, samples: NDArray[np.float32]) -> Opinion:
        """Scores for prepared ``samples`` (n,) at 16 kHz: the mean over windows."""
        rows = [self._window(window) for window in _windows(samples)]
        p808, signal, background, overall = (float(x) for x in np.mean(rows, axis=0))
        return Opinion(p808, overall, signal, background)

    def _window(self, window: NDArray[np.float32]) -> tuple[float, float, float, float]:
        features = log_mel(window[:_P808_SAMPLES])
        p808 = self._p808.run(None, {"input_1": features[np.newaxis]})[0][0, 0]
        signal, background, overall = self._p835.run(None, {"input_1": window[np.newaxis]})[0][0]
        return (
            float(p808),
            float(np.polyval(_SIGNAL, signal)),
            float(np.polyval(_BACKGROUND, background)),
            float(np.polyval(_OVERALL, overall)),
        )

    @cached_property
    def _p808(self) -> onnxruntime.InferenceSession:
        return _session("model_v8.onnx")

    @cached_property
    def _p835(self) -> onnxruntime.InferenceSession:
        return _session("sig_bak_ovr.onnx")


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features (900, 120) of the P.808 network from 144,000 samples.

    Power spectra of centred Hann windows in mel bands, in dB below the loudest, down to -80 dB,
    shifted and scaled so that -80..0 dB become -1..1.
    """
    padded = np.pad(samples, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(_FFT) / _FFT)
    power = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
    mel = np.maximum(power @ mel_filters().T, 1e-10)
    decibels = 10.0 * np.log10(mel / mel.max())
    return np.asarray((np.maximum(decibels, -80.0) + 40.0) / 40.0, dtype=np.float32)


def mel_filters() -> NDArray[np.float64]:
    """Triangular filters (120, 161) of equal area, evenly spaced on Slaney's mel scale to 8 kHz.

    The scale is linear to 1 kHz, at 15 mel, and logarithmic above (Slaney, Auditory Toolbox, 1998).
    """
    step = math.log(6.4) / 27.0
    top = 15.0 + math.log(SAMPLE_RATE / 2 / 1_000.0) / step
    mels = np.linspace(0.0, top, _MELS + 2)
    edges = np.where(mels < 15.0, mels * 200.0 / 3.0, 1_000.0 * np.exp(step * (mels - 15.0)))
    bins = np.fft.rfftfreq(_FFT, 1.0 / SAMPLE_RATE)
    rising = (bins - edges[:-2, np.newaxis]) / np.diff(edges)[:-1, np.newaxis]
    falling = (edges[2:, np.newaxis] - bins) / np.diff(edges)[1:, np.newaxis]
    area = 2.0 / (edges[2:] - edges[:-2])
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters * area[:, np.newaxis]


def _windows(samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Evenly spaced windows that cover ``samples``; short audio is repeated to fill one."""
    if len(samples) <= WINDOW:
        return [np.resize(samples, WINDOW)]
    count = math.ceil(len(samples) / WINDOW)
    starts = np.linspace(0, len(samples) - WINDOW, count).astype(int)
    return [samples[start : start + WINDOW] for start in starts]


def _session(name: str) -> onnxruntime.InferenceSession:
    package = find_spec("speechmos")
    if package is None or package.origin is None:
        raise ScoringError(
            FailureCode.ASSET_MISSING,
            "the package speechmos, which holds the DNSMOS networks, is not installed",
            "Install the extra eval.",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    path = Path(package.origin).parent / "dnsmos_models" / name
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
