"""What Postgres knows about the service, as Prometheus metrics: queue, leases, outcomes, scores.

One statement reads it all, at most once in ``MAX_AGE_S`` seconds, over a connection of its own:
neither eager scrapers nor a busy API change what it costs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scoring.contract import FailureCode
from voice_validation_api.canary_ledger import Verdict
from voice_validation_api.database import Database, DatabaseUnavailableError
from voice_validation_api.failures import ServiceCode

MAX_AGE_S: Final = 5.0
OTHER: Final = "OTHER"
_CODES: Final = frozenset({code.name for code in (*FailureCode, *ServiceCode)})


@dataclass(frozen=True)
class AttemptCount:
    """How many attempts ended with one outcome and failure code within the last hour."""

    outcome: str
    failure_code: str | None
    attempts: int


@dataclass(frozen=True)
class VoiceScore:
    """The newest score of a reference voice."""

    competition_id: str
    voice: str
    score: float
    recorded_at: float


@dataclass(frozen=True)
class ServiceState:
    """One row of the statement ``service_state``. Times are seconds, points of time Unix times."""

    waiting: int
    retrying: int
    parked: int
    precheck: int
    running: int
    completed: int
    failed: int
    results: int
    oldest_waiting_seconds: float
    oldest_lease_seconds: float
    expired_leases: int
    newest_result_at: float | None
    database_bytes: int
    attempts: list[AttemptCount]
    voices: list[VoiceScore]
    canaries: dict[Verdict, int]


class ServiceCollector(Collector):
    """Reads ``ServiceState`` when Prometheus asks. Without the database only that is told."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._state: ServiceState | None = None

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: registering must not need the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics of this moment, or of a few seconds ago."""
        state = self._current()
        yield _gauge("speech_database_up", "Whether Postgres answers.", int(state is not None))
        if state is not None:
            yield from _families(state)

    def _current(self) -> ServiceState | None:
        with self._lock:
            if self._clock() - self._read_at >= MAX_AGE_S:
                try:
                    self._state = self._database.fetch_one(ServiceState, "service_state", {})
                except DatabaseUnavailableError:
                    self._state = None
                self._read_at = self._clock()
            return self._state


def _families(state: ServiceState) -> Iterator[GaugeMetricFamily]:
    submissions = GaugeMetricFamily(
        "speech_submissions", "Submissions by where they are.", labels=("state",)
    )
    for name in ("waiting", "retrying", "parked", "precheck", "running", "completed", "failed"):
        submissions.add_metric((name,), getattr(state, name))
    yield submissions
    yield _gauge("speech_results", "Scores on record.", state.results)
    yield _gauge(
        "speech_oldest_waiting_seconds",
        "For how long the submission that waits longest could have been claimed.",
        state.oldest_waiting_seconds,
    )
    yield _gauge(
        "speech_oldest_lease_seconds",
        "Age of the oldest evaluation that a worker holds.",
        state.oldest_lease_seconds,
    )
    yield _gauge(
        "speech_expired_leases",
        "Leases that ran out and were not taken back.",
        state.expired_leases,
    )
    if state.newest_result_at is not None:
        yield _gauge(
            "speech_newest_result_timestamp_seconds",
            "When the newest score was recorded, as Unix time.",
            state.newest_result_at,
        )
    yield _gauge("speech_database_bytes", "Size of the database.", state.database_bytes)
    yield _attempts(state)
    yield from _voices(state)
    canaries = GaugeMetricFamily(
        "speech_canaries",
        "Workers by what their canary said last, within two days.",
        labels=("verdict",),
    )
    for verdict in Verdict:
        canaries.add_metric((verdict.value,), state.canaries.get(verdict, 0))
    yield canaries


def _attempts(state: ServiceState) -> GaugeMetricFamily:
    counts: dict[tuple[str, str], int] = {}
    for count in state.attempts:
        # What a worker wrote becomes no label unless it is a code of ours.
        code = count.failure_code or ""
        key = (count.outcome, code if not code or code in _CODES else OTHER)
        counts[key] = counts.get(key, 0) + count.attempts
    family = GaugeMetricFamily(
        "speech_attempts_last_hour",
        "Attempts that ended within the last hour, by outcome and failure code.",
        labels=("outcome", "code"),
    )
    for key, attempts in counts.items():
        family.add_metric(key, attempts)
    return family


def _voices(state: ServiceState) -> Iterator[GaugeMetricFamily]:
    labels = ("competition", "voice")
    scores = GaugeMetricFamily(
        "speech_calibration_score", "Newest score of each reference voice.", labels=labels
    )
    times = GaugeMetricFamily(
        "speech_calibration_timestamp_seconds", "When it was measured, as Unix time.", labels=labels
    )
    for voice in state.voices:
        key = (voice.competition_id, voice.voice)
        scores.add_metric(key, voice.score)
        times.add_metric(key, voice.recorded_at)
    yield scores
    yield times


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)
