"""What the workers' canaries scored, in Postgres, where operators see it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum

from voice_validation_api.database import Database

MAX_DETAIL_CHARS = 8_000


class Verdict(str, Enum):
    """What a canary says about its worker."""

    HEALTHY = "HEALTHY"
    DRIFTED = "DRIFTED"
    """It scores otherwise than it should."""
    UNMEASURED = "UNMEASURED"
    """It could not be scored: an error of ours."""


@dataclass(frozen=True)
class CanaryScore:
    """The figures that must not drift."""

    score: float
    wer: float
    human_likeness: float


@dataclass(frozen=True)
class KnownScore:
    """What a canary scores under one protocol. ``is_new``: nobody had measured it before."""

    score: float
    wer: float
    human_likeness: float
    measured_by: str
    is_new: bool


@dataclass(frozen=True)
class CanaryCheck:
    """One measurement, or the failure of one."""

    worker_id: str
    canary: str
    verdict: Verdict
    protocol: str | None = None
    score: float | None = None
    seconds: float | None = None
    detail: str = ""


class CanaryLedger:
    """A worker's view of it. Every method may be repeated and may raise
    DatabaseUnavailableError."""

    def __init__(self, database: Database, *, worker_id: str) -> None:
        self._database = database
        self.worker_id = worker_id

    def known(self, canary: str, protocol: str, measured: CanaryScore) -> KnownScore:
        """What ``canary`` is known to score under ``protocol``: ``measured``, if nobody knew."""
        params = {
            "canary": canary,
            "protocol": protocol,
            "worker_id": self.worker_id,
            **asdict(measured),
        }
        known = self._database.fetch_one(KnownScore, "known_canary_score", params)
        assert known is not None
        return known

    def record(self, check: CanaryCheck) -> None:
        """Keep the newest check of this worker."""
        params = {**asdict(check), "detail": check.detail[:MAX_DETAIL_CHARS]}
        with self._database.transaction() as transaction:
            transaction.execute("record_canary_check", params)


def newest_checks(database: Database) -> tuple[CanaryCheck, ...]:
    """The newest check of every worker, the unhealthy first; for the schema's owner."""
    return database.fetch(CanaryCheck, "canary_checks", {})
