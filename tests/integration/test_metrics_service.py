"""What Prometheus reads about a real queue, and from a running API."""

from __future__ import annotations

import time
from pathlib import Path

import httpx2
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from service_helpers import new_submission, run_sql
from service_processes import failed_start, running_api

from voice_validation_api.canary_ledger import CanaryCheck, CanaryLedger, Verdict
from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.metrics_service import MAX_AGE_S, OTHER, ServiceCollector
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue


class Clock:
    """A clock that stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def registry_of(database: Database, clock: Clock | None = None) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ServiceCollector(database, clock=clock or Clock()))
    return registry


def states(registry: CollectorRegistry) -> dict[str, float]:
    return {
        s.labels["state"]: s.value
        for family in registry.collect()
        for s in family.samples
        if s.name == "speech_submissions" and s.value
    }


def test_submissions_are_counted_by_where_they_are(
    database: Database, store: Store, queue: SubmissionQueue, dsn: str
) -> None:
    for block in range(5):
        store.submit(new_submission(block))
    for _ in range(2):
        claim = queue.claim()
        assert claim is not None
    queue.start_running(claim)
    store.record_precheck_failure(new_submission(9), ServiceCode.MODEL_REFUSED, "too large")
    run_sql(dsn, "UPDATE submissions SET priority = 'PARKED' WHERE block = 4")
    registry = registry_of(database)
    expected = {"waiting": 2, "parked": 1, "precheck": 1, "running": 1, "failed": 1}
    assert states(registry) == expected
    assert registry.get_sample_value("speech_database_up") == 1
    assert registry.get_sample_value("speech_newest_result_timestamp_seconds") is None


def test_waiting_and_leases_have_ages(
    database: Database, store: Store, queue: SubmissionQueue, dsn: str
) -> None:
    store.submit(new_submission(1))
    store.submit(new_submission(2))
    claim = queue.claim()
    assert claim is not None
    run_sql(
        dsn,
        "UPDATE submissions SET updated_at = now() - interval '1 hour', not_before = now() - "
        "interval '1 hour', lease_expires_at = lease_expires_at - interval '1 hour'",
    )
    run_sql(dsn, "UPDATE evaluations SET started_at = now() - interval '2 hours'")
    registry = registry_of(database)
    waiting = registry.get_sample_value("speech_oldest_waiting_seconds")
    lease = registry.get_sample_value("speech_oldest_lease_seconds")
    assert waiting is not None
    assert 3_600 <= waiting < 3_660
    assert lease is not None
    assert 7_200 <= lease < 7_260
    assert registry.get_sample_value("speech_expired_leases") == 1


def test_attempts_of_the_last_hour_are_counted_by_known_codes(
    database: Database, store: Store, queue: SubmissionQueue, dsn: str
) -> None:
    for block in range(3):
        store.submit(new_submission(block))
        claim = queue.claim()
        assert claim is not None
        queue.fail(claim, ServiceCode.MODEL_REFUSED, public="too large")
    run_sql(dsn, "UPDATE evaluations SET failure_code = 'NEVER_HEARD_OF' WHERE id = 1")
    run_sql(dsn, "UPDATE evaluations SET ended_at = now() - interval '2 hours' WHERE id = 2")
    registry = registry_of(database)
    for code in (OTHER, "MODEL_REFUSED"):
        labels = {"outcome": "FAILED", "code": code}
        assert registry.get_sample_value("speech_attempts_last_hour", labels) == 1


def test_canaries_are_counted_by_verdict_while_they_are_news(database: Database, dsn: str) -> None:
    for worker, verdict in (("a", Verdict.HEALTHY), ("b", Verdict.DRIFTED), ("c", Verdict.DRIFTED)):
        ledger = CanaryLedger(database, worker_id=worker)
        ledger.record(CanaryCheck(worker, "reference", verdict))
    run_sql(
        dsn,
        "UPDATE canary_checks SET checked_at = now() - interval '3 days' WHERE worker_id = 'c'",
    )
    registry = registry_of(database)
    for verdict, count in ((Verdict.HEALTHY, 1), (Verdict.DRIFTED, 1), (Verdict.UNMEASURED, 0)):
        labels = {"verdict": verdict.value}
        assert registry.get_sample_value("speech_canaries", labels) == count


def test_the_database_is_asked_once_in_a_few_seconds(database: Database, store: Store) -> None:
    clock = Clock()
    registry = registry_of(database, clock)
    store.submit(new_submission(1))
    assert states(registry) == {"waiting": 1}
    store.submit(new_submission(2))
    assert states(registry) == {"waiting": 1}
    clock.now += MAX_AGE_S
    assert states(registry) == {"waiting": 2}


def test_a_database_that_is_gone_is_told_and_nothing_stale_with_it(
    server: str, dsn: str, store: Store
) -> None:
    store.submit(new_submission(1))
    own, clock = Database(dsn, size=1, application="metrics"), Clock()
    registry = registry_of(own, clock)
    assert states(registry) == {"waiting": 1}
    (name,) = run_sql(dsn, "SELECT current_database()")[0]
    run_sql(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    run_sql(
        server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name
    )
    clock.now += MAX_AGE_S
    assert registry.get_sample_value("speech_database_up") == 0
    assert states(registry) == {}
    run_sql(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    clock.now += MAX_AGE_S
    assert states(registry) == {"waiting": 1}
    own.close()


def test_a_running_api_shows_metrics_at_an_address_of_their_own(dsn: str, tmp_path: Path) -> None:
    environment = {"POSTGRES_URL": dsn, "API_METRICS_PORT": "0", "VAR_DIR": str(tmp_path)}
    with running_api(environment, tmp_path / "log") as api:
        assert api.client.get("/metrics").status_code == 404
        api.client.get("/leaderboard")
        url = api.log.partition("metrics at ")[2].split()[0]
        assert url.startswith("http://127.0.0.1:")
        samples = _scraped(url)
    assert samples["speech_database_up", ()] == 1
    route = (("method", "GET"), ("route", "/leaderboard"), ("status", "200"))
    assert samples["speech_http_requests_total", route] == 1
    assert samples["process_start_time_seconds", ()] <= time.time()


def test_metrics_that_cannot_listen_end_the_start_with_the_reason(dsn: str, tmp_path: Path) -> None:
    environment = {
        "POSTGRES_URL": dsn,
        "VAR_DIR": str(tmp_path),
        "API_METRICS_PORT": "9",
        "API_METRICS_HOST": "192.0.2.1",
    }
    code, output = failed_start(environment, tmp_path / "log")
    assert code == 2
    assert "metrics cannot listen on 192.0.2.1:9" in output


def _scraped(url: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = httpx2.get(url).text
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
