"""The form in which every metric hears audio, so that none can tell speakers apart by format.

One sample rate, hence one band, and one loudness: a quiet recording and a loud one, 16 kHz and
44.1 kHz, give the same figures for the same speech.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.audio import SILENCE_RMS, Audio, check, resample
from scoring.errors import UnscorableAudioError

SAMPLE_RATE = 16_000
"""What the DNSMOS and Silero models were trained on, in Hz."""

LEVEL_DB = -26.0
"""Level of the speech itself relative to full scale; the usual one for speech in ITU-T tests."""

# Level as in ITU-R BS.1770-4: over blocks of 400 ms with three quarters overlap, leaving out what
# is silent first and then what is 10 dB below the mean of the rest. Silence is relative to the
# loudest block here, so that the gain of a recording does not matter, and the filter for the
# outer ear is left out: at one band it moves the level of speech by a constant.
_BLOCK = 6_400
_STEP = _BLOCK // 4
_SILENCE = 1e-4
_QUIET = 0.1


@dataclass(frozen=True)
class Prepared:
    """16 kHz ``samples`` (n,) at the common level, and the level they were recorded at, in dB."""

    samples: NDArray[np.float32]
    level_db: float


def normalise(audio: Audio) -> Prepared:
    """Bring ``audio`` to the common rate and level, without an offset.

    Raises UnscorableAudioError for what ``audio.check`` refuses, and where nothing is
    left in the band.
    """
    check(audio)
    # Before resampling, which would turn the step at either end into a click.
    centred = audio.samples - audio.samples.mean(dtype=np.float64)
    at_rate = resample(Audio(centred.astype(np.float32), audio.sample_rate), SAMPLE_RATE)
    samples = at_rate.samples.astype(np.float64)
    power = _power(samples)
    if power < SILENCE_RMS**2:
        raise UnscorableAudioError(f"the audio is silent below {SAMPLE_RATE // 2} Hz")
    gain = 10.0 ** (LEVEL_DB / 20.0) / np.sqrt(power)
    return Prepared(np.asarray(samples * gain, dtype=np.float32), 10.0 * math.log10(power))


def prepare(audio: Audio) -> NDArray[np.float32]:
    """The samples alone of ``normalise``."""
    return normalise(audio).samples


def _power(samples: NDArray[np.float64]) -> float:
    """Mean square of the parts of ``samples`` (n,) that are not pauses."""
    if len(samples) < _BLOCK:
        return float(np.mean(samples**2))
    blocks = np.lib.stride_tricks.sliding_window_view(samples**2, _BLOCK)[::_STEP].mean(axis=1)
    audible = blocks[blocks >= _SILENCE * blocks.max()]
    return float(audible[audible >= _QUIET * audible.mean()].mean())
