"""The form in which every metric hears audio, so that none can tell speakers apart by format.

One sample rate, hence one band, and one loudness: a quiet recording and a loud one, 16 kHz and
44.1 kHz, give the same figures for the same speech.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scoring.audio import Audio, check, resample

SAMPLE_RATE = 16_000
"""What the DNSMOS and Silero models were trained on, in Hz."""

LEVEL_DB = -26.0
"""Level of the speech itself relative to full scale; the usual one for speech in ITU-T tests."""

# ITU-R BS.1770-4: level over blocks of 400 ms with three quarters overlap, those below -70 dB
# left out first and then those 10 dB below the mean of the rest. Its filter for the outer ear
# is left out: at one band it moves the level of speech by a constant.
_BLOCK_SECONDS = 0.4
_OVERLAP = 4
_ABSOLUTE_GATE_DB = -70.0
_RELATIVE_GATE_DB = -10.0


def prepare(audio: Audio) -> NDArray[np.float32]:
    """16 kHz samples (n,) at the common level, without an offset.

    Raises UnscorableAudioError for what ``audio.check`` refuses.
    """
    check(audio)
    samples = resample(audio, SAMPLE_RATE).samples.astype(np.float64)
    samples -= samples.mean()
    gain = 10.0 ** ((LEVEL_DB - _level_db(samples)) / 20.0)
    return np.asarray(samples * gain, dtype=np.float32)


def _level_db(samples: NDArray[np.float64]) -> float:
    """Gated level, in dB relative to full scale; that of the whole where all is below the gate."""
    block = int(_BLOCK_SECONDS * SAMPLE_RATE)
    if len(samples) < block:
        return float(_db(np.mean(samples**2)))
    squares = np.lib.stride_tricks.sliding_window_view(samples**2, block)[:: block // _OVERLAP]
    power = squares.mean(axis=1)
    audible = power[_db(power) > _ABSOLUTE_GATE_DB]
    if len(audible) == 0:
        return float(_db(np.mean(samples**2)))
    return float(_db(audible[_db(audible) > _db(audible.mean()) + _RELATIVE_GATE_DB].mean()))


def _db(power: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(10.0 * np.log10(np.maximum(power, 1e-20)))
