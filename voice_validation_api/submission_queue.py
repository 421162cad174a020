"""The workers' side of the queue: claim, beat, and settle a submission.

A claim carries a fence, a number that grows with every claim of a submission. Every write names
it, and a write about a claim that is not the caller's any more raises ``LeaseLostError``: somebody
else holds the submission, or did and has finished it. All times are the database's, so clocks of
worker machines do not matter.

Settling (``complete``, ``fail``, ``hand_back``) may be repeated: when the connection breaks during
a commit, the worker asks again, and a settlement that was kept is not made twice.

Everything goes through the functions of the schema ``worker_api``: a worker's role in Postgres
can call them and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from voice_validation_api.database import Database
from voice_validation_api.failures import (
    Action,
    AnyCode,
    Decision,
    ServiceCode,
    decide,
    kind_of,
    miner_message,
)
from voice_validation_api.records import Claim, ExpiredLease, JsonObject, Score, StoredSample

MAX_LOG_CHARS = 65_536
MAX_DETAIL_CHARS = 8_000


class LeaseLostError(Exception):
    """The submission is not this worker's any more: nothing may be written about it."""

    def __init__(self, claim: Claim | ExpiredLease) -> None:
        super().__init__(
            f"worker {claim.worker_id} lost submission {claim.submission_id} (fence {claim.fence})"
        )


@dataclass(frozen=True)
class _Answer:
    answer: bool


@dataclass(frozen=True)
class _Voice:
    voice: str
    protocol: str


class SubmissionQueue:
    """What one worker does to the queue. Every method may raise ``DatabaseUnavailableError``."""

    def __init__(self, database: Database, *, worker_id: str, lease: timedelta) -> None:
        self._database = database
        self._worker_id = worker_id
        self._lease = lease

    def claim(self) -> Claim | None:
        """Take the first submission in line, if there is one, under a lease."""
        # Once: a claim that is repeated after a broken connection takes a second submission and
        # leaves the first to run out its lease.
        params = {"worker_id": self._worker_id, "lease": self._lease}
        return self._database.fetch_one_once(Claim, "claim_submission", params)

    def heartbeat(self, claim: Claim) -> None:
        """Push the end of the lease ahead. Raises LeaseLostError."""
        self._write("extend_lease", claim, {"lease": self._lease})

    def start_running(self, claim: Claim) -> None:
        """PRECHECK to RUNNING: the evaluator starts. Raises LeaseLostError."""
        self._write("start_running", claim, {"lease": self._lease})

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
        result = {
            "score": asdict(score),
            "weights_digest": weights_digest,
            "details": details,
            "samples": [asdict(sample) for sample in samples],
        }
        self._write("complete_submission", claim, {"result": result, "log": _end_of(log)})

    def fail(
        self, claim: Claim, code: AnyCode, *, public: str, detail: str = "", log: str = ""
    ) -> Decision:
        """Record a failure; what follows from it is decided by ``failures.decide``.

        ``public`` is what the miner may read about it, ``detail`` is the operator's.
        Raises LeaseLostError, and nothing is written then.
        """
        decision = decide(code, attempts=claim.attempts)
        params: dict[str, Any] = {
            "code": code.name,
            "message": miner_message(code, public, attempts=claim.attempts),
            "detail": (detail or public)[:MAX_DETAIL_CHARS],
            "log": _end_of(log),
        }
        if decision.action is Action.FAIL:
            self._write("fail_submission", claim, {**params, "kind": kind_of(code).value})
        else:
            self._write("requeue_submission", claim, {**params, **_requeued(decision)})
        return decision

    def hand_back(self, claim: Claim, *, log: str = "") -> None:
        """Give the submission back to its old place; the attempt does not count.

        Raises LeaseLostError, and nothing is written then.
        """
        self._write("hand_back_submission", claim, {"log": _end_of(log)})

    def recover_expired(self) -> int:
        """Take back every submission whose lease ran out; returns how many.

        An expired lease counts as an attempt that an error of ours ended.
        """
        code = ServiceCode.WORKER_LOST
        with self._database.transaction() as transaction:
            expired = transaction.fetch(ExpiredLease, "expired_leases", {})
            for lease in expired:
                params = {
                    "submission_id": lease.submission_id,
                    "fence": lease.fence,
                    "message": miner_message(code, "", attempts=lease.attempts),
                    "detail": "the lease ran out: the worker died, hung, or lost its database",
                    **_requeued(decide(code, attempts=lease.attempts)),
                }
                answer = transaction.fetch_one(_Answer, "take_back_submission", params)
                if answer is None or not answer.answer:
                    raise LeaseLostError(lease)
        return len(expired)

    def appear(self, *, ill: bool) -> None:
        """Say that this worker is there, and whether its canary failed."""
        params = {"worker_id": self._worker_id, "ill": ill}
        with self._database.transaction() as transaction:
            transaction.execute("record_presence", params)

    def leave(self) -> None:
        """Say that this worker ends."""
        with self._database.transaction() as transaction:
            transaction.execute("forget_presence", {"worker_id": self._worker_id})

    def record_calibration(
        self, competition_id: str, voice: str, request_digest: str, score: Score
    ) -> None:
        """Record how a reference voice scores."""
        params = {
            "competition_id": competition_id,
            "voice": voice,
            "request_digest": request_digest,
            "score": asdict(score),
        }
        with self._database.transaction() as transaction:
            transaction.execute("record_calibration", params)

    def calibrated_voices(self, competition_id: str, request_digest: str) -> dict[str, str]:
        """The voices that were scored for this request, each with the protocol of its score."""
        params = {"competition_id": competition_id, "request_digest": request_digest}
        rows = self._database.fetch(_Voice, "calibrated_voices", params)
        return {row.voice: row.protocol for row in rows}

    def _write(self, name: str, claim: Claim, params: dict[str, Any]) -> None:
        """Write about a claim; every such write may be repeated. Raises LeaseLostError."""
        guard = {
            "submission_id": claim.submission_id,
            "fence": claim.fence,
            "worker_id": claim.worker_id,
        }
        answer = self._database.fetch_one(_Answer, name, {**guard, **params})
        if answer is None or not answer.answer:
            raise LeaseLostError(claim)


def _requeued(decision: Decision) -> dict[str, Any]:
    return {"priority": decision.priority, "delay": decision.delay}


def _end_of(log: str) -> str:
    return log[-MAX_LOG_CHARS:]
