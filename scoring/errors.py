"""The typed errors of an evaluation. Each carries a code whose range says whose fault it was."""

from __future__ import annotations

from scoring.contract import Failure, FailureCode


class ScoringError(Exception):
    """An evaluation cannot go on.

    ``code`` says whose fault it is, ``remedy`` what that party can do.
    """

    def __init__(self, code: FailureCode, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[ScoringError], tuple[FailureCode, str, str]]:
        """So that it crosses to another process whole."""
        return type(self), (self.code, self.message, self.remedy)

    def as_failure(self) -> Failure:
        """The record that goes into a result."""
        return Failure(code=self.code, message=self.message[:4_000], remedy=self.remedy[:2_000])


class UnscorableAudioError(Exception):
    """One piece of audio cannot be scored; the reason is meant for a reader.

    It concerns a sample, never the whole evaluation.
    """
