"""The queue of a worker that is watched: what it does is counted once it is on record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from voice_validation_api.database import Database
from voice_validation_api.failures import Action, AnyCode, Decision
from voice_validation_api.metrics_worker import WorkerMetrics
from voice_validation_api.records import Claim, JsonObject, Score, StoredSample
from voice_validation_api.status import AttemptOutcome
from voice_validation_api.submission_queue import LeaseLostError, SubmissionQueue

_OUTCOMES: Final = {
    Action.FAIL: AttemptOutcome.FAILED,
    Action.RETRY: AttemptOutcome.RETRIED,
    Action.PARK: AttemptOutcome.PARKED,
}


class MeasuredQueue(SubmissionQueue):
    """A ``SubmissionQueue`` that counts claims, outcomes, lost leases and the time to record."""

    def __init__(
        self, database: Database, *, worker_id: str, lease: timedelta, metrics: WorkerMetrics
    ) -> None:
        super().__init__(database, worker_id=worker_id, lease=lease)
        self._metrics = metrics

    def claim(self) -> Claim | None:
        """As ``SubmissionQueue.claim``."""
        claim = super().claim()
        if claim is not None:
            self._metrics.claims.inc()
        return claim

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
        """As ``SubmissionQueue.complete``."""
        with self._recording():
            super().complete(
                claim,
                score,
                weights_digest=weights_digest,
                details=details,
                samples=samples,
                log=log,
            )
        self._metrics.recorded(AttemptOutcome.COMPLETED)

    def fail(
        self, claim: Claim, code: AnyCode, *, public: str, detail: str = "", log: str = ""
    ) -> Decision:
        """As ``SubmissionQueue.fail``."""
        with self._recording():
            decision = super().fail(claim, code, public=public, detail=detail, log=log)
        self._metrics.recorded(_OUTCOMES[decision.action], code)
        return decision

    def hand_back(self, claim: Claim, *, log: str = "") -> None:
        """As ``SubmissionQueue.hand_back``."""
        with self._recording():
            super().hand_back(claim, log=log)
        self._metrics.recorded(AttemptOutcome.HANDED_BACK)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        with self._metrics.stage("record"):
            try:
                yield
            except LeaseLostError:
                self._metrics.leases_lost.inc()
                raise
