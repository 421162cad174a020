"""How much of a recording is speech: silence, buzz, noise and music are not."""

from __future__ import annotations

import numpy as np
from faster_whisper.vad import get_vad_model
from numpy.typing import NDArray

from scoring.audio import Audio
from scoring.metrics.base import Measure
from scoring.metrics.preparation import prepare

FRAME = 512
"""Samples that Silero's detector judges at a time: 32 ms."""

SPEECH_PROBABILITY = 0.5
"""Silero's own threshold."""

FREE_EDGE = 8
"""Frames without speech that are not counted at either end: every recording has a quarter of a
second there, and in a short one it would weigh more than in a long one."""


class SpeechShare:
    """The share of frames, in [0, 1], that Silero's voice activity detector takes for speech."""

    name = "speech_share"

    def measure(self, audio: Audio) -> Measure:
        """Raises UnscorableAudioError for what ``audio.check`` refuses."""
        share = speech_share(prepare(audio))
        return Measure(share, f"{share:.0%} of the recording is speech", {self.name: share})


def speech_share(samples: NDArray[np.float32]) -> float:
    """The share for prepared ``samples`` (n,) at 16 kHz."""
    return share_of(speech_probabilities(samples))


def share_of(probabilities: NDArray[np.float64]) -> float:
    """The share of frames in speech, from one probability for each."""
    speech = probabilities >= SPEECH_PROBABILITY
    spoken = np.flatnonzero(speech)
    if len(spoken) == 0:
        return 0.0
    start = min(spoken[0], FREE_EDGE)
    end = max(spoken[-1] + 1, len(speech) - FREE_EDGE)
    return float(speech[start:end].mean())


def speech_probabilities(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of speech (ceil(n / FRAME),) in each 32 ms of prepared ``samples`` (n,)."""
    whole = np.pad(samples, (0, -len(samples) % FRAME))
    # The model was packaged with faster-whisper; it runs on one thread and writes into its input.
    return np.ravel(get_vad_model()(whole)).astype(np.float64)
