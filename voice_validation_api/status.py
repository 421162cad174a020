"""The states of a submission and the ways between them.

    (admitted) ──► QUEUED ──► PRECHECK ──► RUNNING ──► COMPLETED
                     ▲           │            │
                     ├───────────┴────────────┤        handed back, or an error of ours
                                 │            │
    (refused) ───────────────────┴────────────┴──────► FAILED

A worker that claims a submission holds it in PRECHECK while it downloads and checks the pinned
revision, and in RUNNING while the evaluator works. COMPLETED and FAILED are final but for two
exceptions: a later round may draw a COMPLETED one (``rounds/``), and an operator who records why
can put a FAILED one into the queue again (``operator_actions.py``). The database refuses every
other step by itself: ``sql/migrations`` repeats these tables, and tests hold both equal.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import Final

NO_METADATA: Final = "NO_METADATA"
"""What a caller who asks for a model that was never submitted is told. No row ever has it."""


class SubmissionStatus(str, Enum):
    """Where a submission is. The Postgres enum ``submission_status`` has the same members."""

    QUEUED = "QUEUED"
    PRECHECK = "PRECHECK"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


_S = SubmissionStatus

INITIAL: Final = frozenset({_S.QUEUED, _S.FAILED})
"""What a new row may be: admitted, or refused at admission."""

TRANSITIONS: Final = MappingProxyType(
    {
        _S.QUEUED: frozenset({_S.PRECHECK}),
        _S.PRECHECK: frozenset({_S.RUNNING, _S.FAILED, _S.QUEUED}),
        _S.RUNNING: frozenset({_S.COMPLETED, _S.FAILED, _S.QUEUED}),
        _S.COMPLETED: frozenset[SubmissionStatus](),
        _S.FAILED: frozenset[SubmissionStatus](),
    }
)
"""Each status and the statuses that may follow it."""


class Priority(str, Enum):
    """Which part of the queue a QUEUED submission waits in, first to last.

    The Postgres enum ``submission_priority`` has the same members in the same order, so that
    ordering by it orders the queue.
    """

    NORMAL = "NORMAL"
    RETRY = "RETRY"
    """After an error of ours: behind every NORMAL submission."""
    PARKED = "PARKED"
    """Too many errors of ours: no worker claims it until an operator looks."""


class AttemptOutcome(str, Enum):
    """How one attempt at evaluating a submission ended. Postgres: ``attempt_outcome``."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    RETRIED = "RETRIED"
    PARKED = "PARKED"
    HANDED_BACK = "HANDED_BACK"
    """The worker was told to stop; the attempt does not count."""
