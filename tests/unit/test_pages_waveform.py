"""The outline of a recording."""

from __future__ import annotations

import io
import struct
import wave

import pytest

from voice_validation_api.pages.waveform import STEPS, UnreadableClipError, outline


def wav(*samples: int, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as clip:
        clip.setnchannels(channels)
        clip.setsampwidth(width)
        clip.setframerate(16_000)
        if width == 2:
            clip.writeframes(struct.pack(f"<{len(samples)}h", *samples))
        else:
            clip.writeframes(bytes(samples))
    return file.getvalue()


def test_both_sides_of_the_wave_count_and_full_scale_is_a_hundred() -> None:
    assert outline(wav(0, 16_384, -32_768)) == [0, 50, 100]


def test_a_long_clip_becomes_so_many_steps() -> None:
    peaks = outline(wav(*([0] * 5_000 + [32_767] * 5_000)))
    assert len(peaks) == STEPS
    assert (peaks[0], peaks[-1]) == (0, 100)


def test_of_two_channels_the_first_counts() -> None:
    assert outline(wav(0, 32_767, 0, 32_767, channels=2)) == [0, 0]


@pytest.mark.parametrize("content", [b"", b"RIFF", wav(), wav(1, 2, width=1), b"RIFF" + b"\0" * 60])
def test_what_is_no_16_bit_wav_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableClipError):
        outline(content)
