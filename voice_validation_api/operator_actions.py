"""What an operator may do to single submissions, each deed on record: who, when, why.

Every method may raise ``database.DatabaseUnavailableError``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from voice_validation_api.database import Database
from voice_validation_api.records import SubmissionId
from voice_validation_api.registration import UNPINNED
from voice_validation_api.status import SubmissionStatus

MAX_LISTED = 1_000


@dataclass(frozen=True)
class Choice:
    """Which submissions: those with one of ``ids`` and one of ``codes``; None means any."""

    ids: Collection[int] | None = None
    codes: Collection[str] | None = None

    @property
    def params(self) -> dict[str, Any]:
        """For the statements."""
        return {
            "ids": None if self.ids is None else list(self.ids),
            "codes": None if self.codes is None else list(self.codes),
        }


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """A parked or failed submission. ``detail`` and ``worker_id`` are of its last attempt."""

    id: SubmissionId
    status: SubmissionStatus
    namespace: str
    name: str
    revision: str
    hotkey: str
    block: int
    attempts: int
    failure_code: str | None
    failure_message: str | None
    detail: str | None
    worker_id: str | None
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class OperatorAction:
    """One row of the audit trail."""

    id: int
    submission_id: SubmissionId
    action: Literal["REQUEUED", "OVERTURNED"]
    operator: str
    role: str
    reason: str
    failure_code: str | None
    acted_at: datetime


@dataclass(frozen=True)
class _Id:
    id: SubmissionId


class OperatorActions:
    """Done with the rights of the database's owner: workers have no part in it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def parked(self, choice: Choice, *, limit: int = MAX_LISTED) -> tuple[SetAside, ...]:
        """Submissions that errors of ours have set aside, newest first."""
        return self._set_aside(SubmissionStatus.QUEUED, choice, limit)

    def failed(self, choice: Choice, *, limit: int = MAX_LISTED) -> tuple[SetAside, ...]:
        """Submissions that failed for good, newest first."""
        return self._set_aside(SubmissionStatus.FAILED, choice, limit)

    def requeue(self, choice: Choice, *, operator: str, reason: str) -> tuple[SubmissionId, ...]:
        """Put parked submissions back into the queue, behind all others; returns which."""
        with self._database.transaction() as transaction:
            params = {**choice.params, "operator": operator, "reason": reason}
            return tuple(row.id for row in transaction.fetch(_Id, "requeue_parked", params))

    def overturn(self, submission: int, *, operator: str, reason: str) -> bool:
        """Evaluate a failed submission again, because the failure was not the miner's.

        False when it is not FAILED, or was refused before a revision was pinned.
        """
        with self._database.transaction() as transaction:
            note = {"id": submission, "operator": operator, "reason": reason, "unpinned": UNPINNED}
            if transaction.execute("note_overturned", note) == 0:
                return False
            return transaction.execute("overturn_failure", {"id": submission}) == 1

    def trail(self, *, limit: int = 50) -> tuple[OperatorAction, ...]:
        """The newest deeds first."""
        return self._database.fetch(OperatorAction, "operator_actions", {"limit": limit})

    def _set_aside(
        self, status: SubmissionStatus, choice: Choice, limit: int
    ) -> tuple[SetAside, ...]:
        params = {**choice.params, "status": status.value, "limit": limit}
        return self._database.fetch(SetAside, "set_aside", params)
