"""How the pitch moves: spread, speed and smoothness, all in semitones and so for any voice.

A monotone has no spread; a pitch drawn at random has spread but jumps where a voice glides; a
vocoder with a flat or stepped contour has neither the speed nor the fine roughness of vocal folds.
"""

from __future__ import annotations

import numpy as np

from scoring.metrics.pitch import semitones
from scoring.metrics.speech_frames import FRAME_RATE, SpeechFrames

# Below this little voice there is no contour to speak of: 200 ms.
_FEWEST_FRAMES = 20


def intonation(frames: SpeechFrames) -> dict[str, float]:
    """Measures of the contour; those of the movement only where there is enough voice.

    ``pitch_level`` is the median in semitones above 100 Hz, ``pitch_spread`` the interquartile
    range, ``pitch_speed`` the median of the absolute slope in semitones per second,
    ``pitch_roughness`` the median absolute second difference over that of the first,
    ``voiced_share`` the voiced part of the speech.
    """
    contour = semitones(frames.pitch)
    voiced = contour[np.isfinite(contour)]
    measures = {"voiced_share": len(voiced) / max(int(frames.speech.sum()), 1)}
    slopes = np.diff(contour)
    bends = np.diff(slopes)
    slopes, bends = slopes[np.isfinite(slopes)], bends[np.isfinite(bends)]
    if len(voiced) < _FEWEST_FRAMES or len(bends) == 0:
        return measures
    lower, median, upper = np.quantile(voiced, [0.25, 0.5, 0.75])
    slope = float(np.median(np.abs(slopes)))
    return measures | {
        "pitch_level": float(median),
        "pitch_spread": float(upper - lower),
        "pitch_speed": slope * FRAME_RATE,
        "pitch_roughness": float(np.median(np.abs(bends))) / (slope + 1e-3),
    }
