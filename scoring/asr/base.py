"""What scoring asks of a speech recogniser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
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


# On a CPU a batch costs what its windows cost one by one (docs/performance.md). On a GPU one window
# leaves most of it idle while the decoder writes word by word, and 16 cost little more than one.
_AT_A_TIME = MappingProxyType({"cpu": 1, "cuda": 16})


def heard_at_a_time(device: str) -> int:
    """How many clips, or windows of long ones, to hear together on ``cpu``, ``cuda``, ``cuda:N``.

    Fixed, and so is which clips are together: on a GPU the size of a batch may decide how sums
    round, and the same request must give the same transcripts.
    """
    return _AT_A_TIME[device.partition(":")[0]]


class Recogniser(Protocol):
    """Writes down English speech; the same audio always gives the same text."""

    @property
    def info(self) -> AsrInfo:
        """Which model listens, down to the digest of its files."""
        ...

    def transcribe(self, audio: Audio) -> str:
        """The transcript of audio that passed ``audio.check``; empty where nothing is heard."""
        ...

    def transcribe_all(self, audios: Sequence[Audio]) -> list[str]:
        """The transcript of each, together where that is faster.

        Of equal sequences the transcripts are equal; on a CPU each is that of ``transcribe``.
        Raises ScoringError (OUT_OF_MEMORY).
        """
        ...
