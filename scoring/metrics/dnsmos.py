"""DNSMOS P.808: the mean opinion score that listeners would give, as Microsoft's network predicts.

The network (Reddy et al., 2021) is the one inside the package ``speechmos``. It is run here because
importing ``speechmos`` compiles for many seconds and uses every core. For up to 9.01 s of audio the
figures are those of ``speechmos``; longer audio is cut into the fewest equal windows that cover it
all, where ``speechmos`` takes one every second and leaves out the end.

Scores run from 1 to 5. They measure quality, not humanity: good synthesisers score above people.
The P.835 networks of the same package cost thirty times as much and told apart nothing that the
other parts of human likeness had not.
"""

from __future__ import annotations

import math
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
"""Samples that ``speechmos`` hears at a time: 9.01 s at 16 kHz."""

# Features of the P.808 network.
_FFT = 321
_HOP = 160
_MELS = 120
_P808_SAMPLES = WINDOW - 160


class Dnsmos:
    """The predicted opinion of listeners, nominally 1 to 5."""

    name = "dnsmos_p808"

    def measure(self, audio: Audio) -> Measure:
        """Raises UnscorableAudioError for what ``audio.check`` refuses."""
        opinion = self.opinion(prepare(audio))
        told = f"listeners would rate the quality {opinion:.2f} of 5"
        return Measure(opinion, told, {self.name: opinion})

    def opinion(self, samples: NDArray[np.float32]) -> float:
        """The score of prepared ``samples`` (n,) at 16 kHz: the mean over windows."""
        return float(np.mean([self._window(window) for window in _windows(samples)]))

    def _window(self, window: NDArray[np.float32]) -> float:
        features = log_mel(window[:_P808_SAMPLES])
        return float(self._p808.run(None, {"input_1": features[np.newaxis]})[0][0, 0])

    @cached_property
    def _p808(self) -> onnxruntime.InferenceSession:
        return _session("model_v8.onnx")


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
            "the package speechmos, which holds the DNSMOS network, is not installed",
            "Install the extra eval.",
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    path = Path(package.origin).parent / "dnsmos_models" / name
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
