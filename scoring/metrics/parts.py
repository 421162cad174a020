"""Everything that is measured of one recording, in one go."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scoring.metrics.excitation import excitation
from scoring.metrics.intonation import intonation
from scoring.metrics.spectrum import repetition, spectral_dynamics, timbre
from scoring.metrics.speech_frames import SpeechFrames
from scoring.metrics.speech_gate import share_of
from scoring.metrics.timing import pauses, speaking_rate

LEAST_SPEECH_SECONDS = 0.2
"""With less speech there is nothing to take statistics of."""

TWO_SIDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "intonation": ("pitch_spread", "pitch_speed", "pitch_roughness", "voiced_share"),
        "excitation": ("level_range", "attack", "peak_share", "noise_floor"),
        "pauses": ("pause_longest", "pause_rate", "speech_share"),
        "rate": ("tempo", "syllable_rate"),
        "spectrum": (
            "cepstral_spread",
            "delta_spread",
            "delta_detail",
            "flux_ratio",
            "fast_modulation",
            "high_band",
            "repetition",
        ),
    }
)
"""The parts of human likeness that fall on either side of the human range, by their measures."""


def measure_speech(frames: SpeechFrames) -> dict[str, float]:
    """All measures by name; only ``speech_share`` where there is next to no speech.

    A measure that the recording is too short for, such as the contour of an unvoiced whisper, is
    left out.
    """
    share = {"speech_share": share_of(frames.speech_probabilities)}
    if frames.speech_seconds < LEAST_SPEECH_SECONDS:
        return share
    return {
        **share,
        "speech_seconds": frames.speech_seconds,
        **intonation(frames),
        **excitation(frames),
        **pauses(frames),
        **speaking_rate(frames),
        **spectral_dynamics(frames),
        **repetition(frames),
        **timbre(frames),
    }
