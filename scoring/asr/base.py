"""What scoring asks of a speech recogniser."""

from __future__ import annotations

from typing import Protocol

from scoring.audio import Audio
from scoring.contract import AsrInfo

SAMPLE_RATE = 16_000
"""What every Whisper model listens to, in Hz."""


class Recogniser(Protocol):
    """Writes down English speech; the same audio always gives the same text."""

    @property
    def info(self) -> AsrInfo:
        """Which model listens, down to the digest of its files."""
        ...

    def transcribe(self, audio: Audio) -> str:
        """The transcript of audio that passed ``audio.check``; empty where nothing is heard."""
        ...
