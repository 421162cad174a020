"""What can be wrong with published rounds."""

from __future__ import annotations


class RoundsUnusableError(Exception):
    """Published rounds cannot be weighed. ``remedy`` says what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
