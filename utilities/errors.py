"""The typed errors that neurons and the service share: what was wrong, and what to do about it."""

from __future__ import annotations

from typing import ClassVar


class SubnetError(Exception):
    """Something that a person, or a retry, can act on.

    ``message`` says what was wrong and where, ``remedy`` what to do. ``code`` is stable and meant
    for programs. ``transient`` errors are nobody's mistake: the same call may succeed later.
    """

    code: ClassVar[str]
    transient: ClassVar[bool] = False

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
