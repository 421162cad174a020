"""How the energy moves: the dynamics of a voice, and the marks of noise and clipping on them."""

from __future__ import annotations

import numpy as np

from scoring.metrics.preparation import SAMPLE_RATE
from scoring.metrics.speech_frames import SpeechFrames


def excitation(frames: SpeechFrames) -> dict[str, float]:
    """Measures over the speech of a recording.

    ``level_range`` is the 5th to 95th percentile in dB; ``attack`` the skewness of the level's
    changes over 20 ms: syllables start faster than they die away, so it is positive for speech
    and negative for speech played backwards; ``peak_share`` the logarithm to base 10 of the share
    of samples within 5 % of the peak, which clipping multiplies; ``noise_floor`` how far below the
    loud frames the quietest 2 % lie, in dB. ``effort``, the level between 1 and 5 kHz in dB
    relative to the whole, is no part of human likeness: a raised voice has more of it, so it tells
    how energetic a delivery is.
    """
    level = frames.level[frames.speech]
    change = (frames.level[2:] - frames.level[:-2])[frames.speech[1:-1]]
    low, high = np.quantile(level, [0.05, 0.95])
    power = frames.power[frames.speech].mean(axis=0)
    hertz = np.fft.rfftfreq(2 * (len(power) - 1), 1.0 / SAMPLE_RATE)
    raised = power[(hertz > 1_000.0) & (hertz < 5_000.0)].sum() / (power.sum() + 1e-9)
    magnitude = np.abs(frames.samples)
    return {
        "level_range": float(high - low),
        "attack": float(np.mean(change**3) / (np.mean(change**2) ** 1.5 + 1e-9)),
        "peak_share": float(np.log10((magnitude > 0.95 * magnitude.max()).mean())),
        "noise_floor": float(high - np.quantile(frames.level, 0.02)),
        "effort": float(10.0 * np.log10(raised + 1e-9)),
    }
