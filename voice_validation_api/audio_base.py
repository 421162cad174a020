"""Where the clips of evaluations are kept: ``<submission>/<evaluation>/<file>`` below a root, and
those of reference voices in ``calibration/<voice>/<request digest>/<file>``.

The root is a directory or a place in an S3-compatible store, and the same for the API and all
workers. Every attempt has a place of its own, and what is written there is whole before anything
refers to it: a worker that lost its lease never touches the clips of the one that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from voice_validation_api.records import EvaluationId, SubmissionId

CHUNK_BYTES = 256 * 1024


class AudioStoreError(OSError):
    """The store cannot be used or does not answer; the message says which and why."""


@dataclass(frozen=True)
class Clip:
    """A WAV file that is there. ``read`` gives its bytes from one place up to another."""

    size_bytes: int
    read: Callable[[int, int], bytes]

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``stop``, a piece at a time. Raises OSError."""
        for place in range(start, stop, CHUNK_BYTES):
            yield self.read(place, min(place + CHUNK_BYTES, stop))


@dataclass(frozen=True)
class StoredAttempt:
    """The clips of one attempt: whose they are, and how many bytes they take together."""

    submission: SubmissionId
    evaluation: EvaluationId
    size_bytes: int


class AudioStore(Protocol):
    """Clips below one root."""

    def check(self) -> None:
        """Write something and remove it again. Raises OSError."""

    def publish(
        self, submission: SubmissionId, evaluation: EvaluationId, clips: Mapping[str, Path]
    ) -> dict[str, str]:
        """Keep ``clips``, checked files by name; returns each one's path below the root.

        They are copied, so that nothing of the evaluator's, such as a link, gets in.
        Raises OSError, and nothing is kept then.
        """

    def publish_voice(self, voice: str, request_digest: str, clips: Mapping[str, Path]) -> None:
        """Keep the clips of a reference voice on the work that ``request_digest`` names.

        Raises OSError.
        """

    def find(self, stored: str) -> Clip | None:
        """The WAV file at ``stored``, a path below the root, if it is there.

        No path leads out of the store. Raises OSError when the store does not answer.
        """

    def discard(self, submission: SubmissionId, evaluation: EvaluationId) -> None:
        """Forget the clips of one attempt, if there are any and the store answers."""

    def attempts(self) -> Iterator[StoredAttempt]:
        """Every attempt that has clips here, in no order. Raises OSError."""


def attempt_at(submission: str, evaluation: str, size_bytes: int) -> StoredAttempt | None:
    """The attempt whose place these two names are, or None where they are no such place."""
    if not (submission.isdecimal() and evaluation.isdecimal()):
        return None
    return StoredAttempt(SubmissionId(int(submission)), EvaluationId(int(evaluation)), size_bytes)


def place_of(submission: SubmissionId, evaluation: EvaluationId) -> PurePosixPath:
    """Where the clips of one attempt lie."""
    return PurePosixPath(str(submission), str(evaluation))


def place_of_voice(voice: str, request_digest: str) -> PurePosixPath:
    """Where the clips of a reference voice lie."""
    return PurePosixPath("calibration", voice, request_digest)


def stored_names(where: PurePosixPath, clips: Mapping[str, Path]) -> dict[str, str]:
    """The path below the root of each clip; nothing of it is the evaluator's."""
    return {name: f"{where}/{number:05d}.wav" for number, name in enumerate(sorted(clips))}
