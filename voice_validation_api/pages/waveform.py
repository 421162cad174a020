"""The outline of a recording: loudest moments in equal steps, from 16-bit WAV."""

from __future__ import annotations

import array
import io
import itertools
import sys
import wave
from typing import Final

STEPS: Final = 240
MAX_BYTES: Final = 32 << 20
"""Of a clip; more is never taken in."""


class UnreadableClipError(ValueError):
    """A clip that is no 16-bit WAV, empty or too large."""


def outline(content: bytes) -> list[int]:
    """Peaks of up to ``STEPS`` equal parts of a recording, in percent of full scale.

    Of several channels the first counts. Raises UnreadableClipError.
    """
    try:
        with wave.open(io.BytesIO(content)) as clip:
            if clip.getsampwidth() != 2:
                raise UnreadableClipError("no 16-bit WAV")
            channels, frames = clip.getnchannels(), clip.readframes(clip.getnframes())
    except (wave.Error, EOFError) as error:
        raise UnreadableClipError(f"no WAV: {error}") from error
    samples = array.array("h", frames[: len(frames) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    samples = samples[::channels]
    if not samples:
        raise UnreadableClipError("an empty WAV")
    steps = min(STEPS, len(samples))
    ends = [len(samples) * step // steps for step in range(steps + 1)]
    parts = (samples[start:end] for start, end in itertools.pairwise(ends))
    return [round(100 * max(map(abs, (max(part), min(part)))) / 32_768) for part in parts]
