"""How the spectrum moves, what noise and a narrow band do to it, and whether sounds repeat."""

from __future__ import annotations

import numpy as np

from scoring.metrics.preparation import SAMPLE_RATE
from scoring.metrics.speech_frames import FRAME_RATE, SpeechFrames

_REPEAT_FRAMES = 30
_SHORTEST_LAG = 50
# Comparing every frame with every other grows with the square of the length.
_LONGEST_FRAMES = 3_000


def spectral_dynamics(frames: SpeechFrames) -> dict[str, float]:
    """Measures over the speech of a recording, from mel cepstra 1 to 12 and mel bands.

    ``cepstral_spread`` and ``delta_spread`` are mean standard deviations of the cepstra and of
    their changes over 20 ms; ``delta_detail`` the logarithm of that of the higher cepstra over
    that of the lower; ``flux_ratio`` that of the median change over 10 ms over that over
    20 ms, because noise changes as much in one as in two; ``fast_modulation`` the
    logarithm of the share above 16 Hz of the modulation of the mel bands between 1 and 50 Hz;
    ``high_band`` the level above 6 kHz relative to the whole, in dB.
    """
    cepstra = frames.cepstra[:, 1:]
    twenty = (cepstra[2:] - cepstra[:-2])[frames.speech[1:-1]]
    ten = np.diff(cepstra, axis=0)[frames.speech[1:]]
    flux = float(np.median(np.linalg.norm(ten, axis=1)))
    power = frames.power[frames.speech].mean(axis=0)
    hertz = np.fft.rfftfreq(2 * (len(power) - 1), 1.0 / SAMPLE_RATE)
    return {
        "cepstral_spread": float(cepstra[frames.speech].std(axis=0).mean()),
        "delta_spread": float(twenty.std(axis=0).mean()),
        "delta_detail": _log_ratio(twenty[:, 6:].std(axis=0).mean(), twenty[:, :4].std(0).mean()),
        "flux_ratio": _log_ratio(flux, float(np.median(np.linalg.norm(twenty, axis=1)))),
        "fast_modulation": _fast_modulation(frames),
        "high_band": 10.0
        / np.log(10.0)
        * _log_ratio(power[hertz > 6_000.0].sum(), power[hertz > 100.0].sum()),
    }


def repetition(frames: SpeechFrames) -> dict[str, float]:
    """``repetition``: the highest correlation, up to 1, of 300 ms of speech with any other.

    Two utterances of one word by a person differ; a loop does not.
    """
    mel = (frames.mel - frames.mel.mean(axis=0))[:_LONGEST_FRAMES]
    count = len(mel)
    if count < _SHORTEST_LAG + _REPEAT_FRAMES:
        return {}
    products = mel @ mel.T
    power = np.concatenate([[0.0], np.cumsum(np.diagonal(products))])
    energy = power[_REPEAT_FRAMES:] - power[:-_REPEAT_FRAMES]
    middle = np.arange(count - _REPEAT_FRAMES + 1) + _REPEAT_FRAMES // 2
    spoken = frames.speech[:count][middle]
    highest = 0.0
    for lag in range(_SHORTEST_LAG, count - _REPEAT_FRAMES):
        along = np.concatenate([[0.0], np.cumsum(np.diagonal(products, lag))])
        together = along[_REPEAT_FRAMES:] - along[:-_REPEAT_FRAMES]
        size = len(together)
        both = spoken[:size] & spoken[lag : lag + size]
        if both.any():
            norm = np.sqrt(energy[:size] * energy[lag : lag + size])[both]
            highest = max(highest, float((together[both] / np.maximum(norm, 1e-9)).max()))
    return {"repetition": highest}


def timbre(frames: SpeechFrames) -> dict[str, float]:
    """The voice's colour: means of cepstra 1 to 12 over voiced speech."""
    voiced = np.isfinite(frames.pitch)
    if not voiced.any():
        return {}
    means = frames.cepstra[voiced, 1:].mean(axis=0)
    return {f"timbre_{i:02d}": float(value) for i, value in enumerate(means, start=1)}


def _fast_modulation(frames: SpeechFrames) -> float:
    bands = frames.mel[frames.speech]
    bands = (bands - bands.mean(axis=0)) * np.hanning(len(bands))[:, np.newaxis]
    size = max(512, 1 << (len(bands) - 1).bit_length())
    spectrum = (np.abs(np.fft.rfft(bands, size, axis=0)) ** 2).sum(axis=1)
    hertz = np.fft.rfftfreq(size, 1.0 / FRAME_RATE)
    return _log_ratio(spectrum[hertz >= 16.0].sum(), spectrum[hertz >= 1.0].sum())


def _log_ratio(above: float, below: float) -> float:
    return float(np.log((above + 1e-9) / (below + 1e-9)))
