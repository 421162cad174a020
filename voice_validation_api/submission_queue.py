"""The workers' side of the queue: claim, beat, and settle a submission.

A claim carries a fence, a number that grows with every claim of a submission. Every write names
it, and a write that finds no row it may touch raises ``LeaseLostError``: somebody else holds the
submission, or did and has finished it. All times are the database's, so clocks of worker machines
do not matter.

Settling (``complete``, ``fail``, ``hand_back``) may be repeated: when the connection breaks during
a commit, the worker asks again, and a settlement that was kept is not made twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import timedelta
from typing import Any

from voice_validation_api.database import Database, Transaction
from voice_validation_api.failures import (
    Action,
    AnyCode,
    Decision,
    ServiceCode,
    decide,
    kind_of,
    miner_message,
)
from voice_validation_api.records import (
    Attempt,
    Calibration,
    Claim,
    ExpiredLease,
    JsonObject,
    Score,
    StoredSample,
)
from voice_validation_api.status import AttemptOutcome

MAX_LOG_CHARS = 65_536
MAX_DETAIL_CHARS = 8_000


class LeaseLostError(Exception):
    """The submission is not this worker's any more: nothing may be written about it."""

    def __init__(self, claim: Claim | ExpiredLease) -> None:
        super().__init__(
            f"worker {claim.worker_id} lost submission {claim.submission_id} (fence {claim.fence})"
        )


@dataclass(frozen=True)
class _Id:
    id: int


class SubmissionQueue:
    """What one worker does to the queue. Every method may raise ``DatabaseUnavailableError``."""

    def __init__(self, database: Database, *, worker_id: str, lease: timedelta) -> None:
        self._database = database
        self._worker_id = worker_id
        self._lease = lease

    def claim(self) -> Claim | None:
        """Take the first submission in line, if there is one, under a lease."""
        params = {"worker_id": self._worker_id, "lease": self._lease}
        # Not ``Database.fetch``: a claim that is repeated after a broken connection takes a second
        # submission and leaves the first to run out its lease.
        with self._database.transaction() as transaction:
            return transaction.fetch_one(Claim, "claim_submission", params)

    def heartbeat(self, claim: Claim) -> None:
        """Push the end of the lease ahead. Raises LeaseLostError."""
        self._extend("extend_lease", claim)

    def start_running(self, claim: Claim) -> None:
        """PRECHECK to RUNNING: the evaluator starts. Raises LeaseLostError."""
        self._extend("start_running", claim)

    def complete(
        self,
        claim: Claim,
        score: Score,
        *,
        weights_digest: str | None,
        details: JsonObject,
        samples: Sequence[StoredSample],
        log: str,
    ) -> None:
        """Record a score and its samples. Raises LeaseLostError, and nothing is written then."""
        outcome = AttemptOutcome.COMPLETED
        with self._database.transaction() as transaction:
            params = {"weights_digest": weights_digest}
            if not _settle(transaction, "complete_submission", claim, outcome, params, log=log):
                return
            transaction.execute(
                "insert_result",
                {
                    **asdict(score),
                    "submission_id": claim.submission_id,
                    "evaluation_id": claim.evaluation_id,
                    "details": details,
                },
            )
            rows = [(claim.evaluation_id, *astuple(sample)) for sample in samples]
            transaction.insert_many("insert_samples", rows)

    def fail(
        self, claim: Claim, code: AnyCode, *, public: str, detail: str = "", log: str = ""
    ) -> Decision:
        """Record a failure; what follows from it is decided by ``failures.decide``.

        ``public`` is what the miner may read about it, ``detail`` is the operator's.
        Raises LeaseLostError, and nothing is written then.
        """
        with self._database.transaction() as transaction:
            return _fail(transaction, claim, code, public=public, detail=detail or public, log=log)

    def hand_back(self, claim: Claim, *, log: str = "") -> None:
        """Give the submission back to its old place; the attempt does not count.

        Raises LeaseLostError, and nothing is written then.
        """
        with self._database.transaction() as transaction:
            outcome = AttemptOutcome.HANDED_BACK
            _settle(transaction, "hand_back_submission", claim, outcome, {}, log=log)

    def recover_expired(self) -> int:
        """Take back every submission whose lease ran out; returns how many.

        An expired lease counts as an attempt that an error of ours ended.
        """
        detail = "the lease ran out: the worker died, hung, or lost its database"
        with self._database.transaction() as transaction:
            expired = transaction.fetch(ExpiredLease, "expired_leases", {})
            for lease in expired:
                _fail(transaction, lease, ServiceCode.WORKER_LOST, public="", detail=detail, log="")
        return len(expired)

    def record_calibration(
        self, competition_id: str, voice: str, request_digest: str, score: Score
    ) -> None:
        """Record how a reference voice scores."""
        params = {"competition_id": competition_id, "voice": voice, **asdict(score)}
        with self._database.transaction() as transaction:
            transaction.execute("upsert_calibration", {**params, "request_digest": request_digest})

    def calibrated_voices(self, competition_id: str, request_digest: str) -> dict[str, str]:
        """The voices that were scored for this request, each with the protocol of its score."""
        rows = self._database.fetch(Calibration, "calibrations", {"competition_id": competition_id})
        return {row.voice: row.protocol for row in rows if row.request_digest == request_digest}

    def _extend(self, name: str, claim: Claim) -> None:
        params = {**_guard(claim), "lease": self._lease}
        if self._database.fetch_one(_Id, name, params) is None:
            raise LeaseLostError(claim)


def _guard(claim: Claim | ExpiredLease) -> dict[str, Any]:
    return {
        "submission_id": claim.submission_id,
        "fence": claim.fence,
        "worker_id": claim.worker_id,
    }


def _fail(
    transaction: Transaction,
    claim: Claim | ExpiredLease,
    code: AnyCode,
    *,
    public: str,
    detail: str,
    log: str,
) -> Decision:
    decision = decide(code, attempts=claim.attempts)
    name, outcome = {
        Action.FAIL: ("fail_submission", AttemptOutcome.FAILED),
        Action.RETRY: ("requeue_submission", AttemptOutcome.RETRIED),
        Action.PARK: ("requeue_submission", AttemptOutcome.PARKED),
    }[decision.action]
    params = {
        "failure_kind": kind_of(code).value,
        "failure_code": code.name,
        "failure_message": miner_message(code, public, attempts=claim.attempts),
        "priority": decision.priority,
        "delay": decision.delay,
    }
    _settle(transaction, name, claim, outcome, params, code=code, detail=detail, log=log)
    return decision


def _settle(
    transaction: Transaction,
    name: str,
    claim: Claim | ExpiredLease,
    outcome: AttemptOutcome,
    params: dict[str, Any],
    *,
    code: AnyCode | None = None,
    detail: str | None = None,
    log: str,
) -> bool:
    """Leave the active states and close the evaluation; False when that was done before."""
    failure_code = code.name if code is not None else None
    if transaction.execute(name, {**_guard(claim), **params}) == 0:
        evaluation = {"evaluation_id": claim.evaluation_id}
        attempt = transaction.fetch_one(Attempt, "evaluation_outcome", evaluation)
        ended = attempt and (attempt.outcome, attempt.failure_code)
        if ended != (outcome, failure_code):
            raise LeaseLostError(claim)
        return False
    transaction.execute(
        "close_evaluation",
        {
            "evaluation_id": claim.evaluation_id,
            "outcome": outcome,
            "failure_code": failure_code,
            "detail": detail[:MAX_DETAIL_CHARS] if detail is not None else None,
            "log": log[-MAX_LOG_CHARS:],
        },
    )
    return True
