"""What scoring asks of a speech recogniser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from scoring.audio import Audio
from scoring.contract import AsrInfo

SAMPLE_RATE = 16_000
"""What every Whisper model listens to, in Hz."""

# Falling back to higher temperatures would make the transcript random, and text from the window
# before would help a hallucination to go on. Timestamps are not asked for because every window
# is heard whole.
DECODING: Mapping[str, Any] = {
    "language": "en",
    "task": "transcribe",
    "beam_size": 5,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "without_timestamps": True,
}
"""How every Whisper decodes, whichever package runs it."""


class Recogniser(Protocol):
    """Writes down English speech; the same audio always gives the same text."""

    @property
    def info(self) -> AsrInfo:
        """Which model listens, down to the digest of its files."""
        ...

    def transcribe(self, audio: Audio) -> str:
        """The transcript of audio that passed ``audio.check``; empty where nothing is heard."""
        ...
