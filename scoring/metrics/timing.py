"""Pauses and speaking rate, without a transcript."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, find_peaks, sosfiltfilt

from scoring.metrics.pitch import HOP
from scoring.metrics.preparation import SAMPLE_RATE
from scoring.metrics.speech_frames import FRAME_RATE, SpeechFrames

SHORTEST_PAUSE = 0.1
"""Seconds; what is shorter is the closure of a stop."""

_PROMINENCE_DB = 2.0
# Seconds between nuclei that are neighbours; more is a pause.
_LONGEST_SYLLABLE = 0.6


def pauses(frames: SpeechFrames) -> dict[str, float]:
    """``pause_longest`` in seconds, and ``pause_rate``, pauses per second of the recording."""
    starts, ends = runs(frames.speech)
    gaps = (starts[1:] - ends[:-1]) / FRAME_RATE
    return {
        "pause_longest": float(gaps.max(initial=0.0)),
        "pause_rate": float((gaps > SHORTEST_PAUSE).sum() / (len(frames.speech) / FRAME_RATE)),
    }


def speaking_rate(frames: SpeechFrames) -> dict[str, float]:
    """``syllable_rate``, nuclei per second of speech, and ``tempo``, the logarithm of the speed.

    A count of syllables is coarse in a single sentence, so the tempo averages three logarithms
    that grow with the speed alike: the inverse of the median time between neighbouring nuclei,
    the change of the cepstra over 20 ms, and that change relative to the spread of the cepstra.
    Its weights are those that separated recordings from themselves at 0.6 and 1.6 times the speed
    best, among the speakers of the reference.
    """
    nuclei = syllable_nuclei(frames)
    measures = {"syllable_rate": len(nuclei) / frames.speech_seconds}
    between = np.diff(nuclei) / FRAME_RATE
    between = between[between < _LONGEST_SYLLABLE]
    if len(between) > 2:
        cepstra = frames.cepstra[:, 1:]
        change = (cepstra[2:] - cepstra[:-2])[frames.speech[1:-1]]
        spread = np.sqrt(cepstra[frames.speech].var(axis=0).sum())
        relative = np.log(np.sqrt((change**2).sum(axis=1).mean()) / spread)
        absolute = np.log(change.std(axis=0).mean())
        interval = np.log(np.median(between))
        measures["tempo"] = float((2.0 * relative + 2.0 * absolute - interval) / 5.0)
    return measures


def syllable_nuclei(frames: SpeechFrames) -> NDArray[np.int64]:
    """Frames at which a vowel is loudest.

    After de Jong and Wempe (2009, Behavior Research Methods 41, 385-390): voiced peaks of the
    energy between 300 and 3,000 Hz, 2 dB above the dips around them.
    """
    band = butter(4, [300, 3_000], btype="band", fs=SAMPLE_RATE, output="sos")
    power = sosfiltfilt(band, frames.samples.astype(np.float64)) ** 2
    smooth = sosfiltfilt(butter(2, 10, fs=SAMPLE_RATE, output="sos"), power)
    level = 10.0 * np.log10(np.maximum(smooth[HOP // 2 :: HOP][: len(frames.speech)], 1e-9))
    peaks, _ = find_peaks(np.maximum(level, level.max() - 45.0), prominence=_PROMINENCE_DB)
    return np.asarray(peaks[np.isfinite(frames.pitch[peaks])], dtype=np.int64)


def runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends (exclusive) of the stretches in which ``mask`` holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return edges[::2], edges[1::2]
