"""How an audit ends that finds something else than what was published."""

from __future__ import annotations

from collections.abc import Sequence

from scoring.audit.records import MAX_FINDINGS, Finding
from scoring.comparison import Difference

_SHOWN_CHARS = 300


def findings_of(differences: Sequence[Difference]) -> tuple[Finding, ...]:
    """The first of them as a report holds them."""
    return tuple(
        Finding(
            where=one.where[:_SHOWN_CHARS],
            published=one.published[:_SHOWN_CHARS],
            found=one.found[:_SHOWN_CHARS],
            allowed=one.allowed[:_SHOWN_CHARS],
        )
        for one in differences[:MAX_FINDINGS]
    )


class DisagreementError(Exception):
    """What was published is not so: the message says in which way, ``differences`` where."""

    def __init__(self, message: str, differences: Sequence[Difference]) -> None:
        super().__init__(message)
        self.differences = tuple(differences)
