"""How an audit ends that finds something else than what was published."""

from __future__ import annotations

from collections.abc import Sequence

from scoring.comparison import Difference


class DisagreementError(Exception):
    """What was published is not so: the message says in which way, ``differences`` where."""

    def __init__(self, message: str, differences: Sequence[Difference]) -> None:
        super().__init__(message)
        self.differences = tuple(differences)
