"""What is counted about a worker's claims, on a real queue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from queue_helpers import SCORE
from service_helpers import new_submission, run_sql

from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.measured_queue import MeasuredQueue
from voice_validation_api.metrics_worker import WorkerMetrics
from voice_validation_api.records import Claim
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import LeaseLostError


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def measured(database: Database, registry: CollectorRegistry) -> MeasuredQueue:
    metrics = WorkerMetrics(registry)
    return MeasuredQueue(
        database, worker_id="worker-a", lease=timedelta(seconds=60), metrics=metrics
    )


def claimed(store: Store, measured: MeasuredQueue, block: int) -> Claim:
    store.submit(new_submission(block))
    claim = measured.claim()
    assert claim is not None
    measured.start_running(claim)
    return claim


def outcomes(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    return {
        (s.labels["outcome"], s.labels["code"]): s.value
        for family in registry.collect()
        for s in family.samples
        if s.name == "speech_worker_evaluations_total"
    }


def complete(measured: MeasuredQueue, claim: Claim) -> None:
    measured.complete(claim, SCORE, weights_digest=None, details={}, samples=[], log="")


def test_claims_and_what_became_of_them_are_counted(
    store: Store, measured: MeasuredQueue, registry: CollectorRegistry
) -> None:
    assert measured.claim() is None
    complete(measured, claimed(store, measured, 1))
    measured.fail(claimed(store, measured, 2), ServiceCode.MODEL_REFUSED, public="large")
    measured.hand_back(claimed(store, measured, 3))
    again = measured.claim()
    assert again is not None
    measured.fail(again, ServiceCode.NO_RESULT, public="")
    assert outcomes(registry) == {
        ("COMPLETED", ""): 1,
        ("FAILED", "MODEL_REFUSED"): 1,
        ("HANDED_BACK", ""): 1,
        ("RETRIED", "NO_RESULT"): 1,
    }
    assert registry.get_sample_value("speech_worker_claims_total") == 4
    labels = {"stage": "record"}
    assert registry.get_sample_value("speech_worker_stage_seconds_count", labels) == 4


def test_what_a_lost_lease_keeps_from_being_recorded_counts_as_nothing_else(
    store: Store, measured: MeasuredQueue, registry: CollectorRegistry, dsn: str
) -> None:
    claim = claimed(store, measured, 1)
    run_sql(dsn, "UPDATE submissions SET lease_expires_at = now() - interval '1 second'")
    assert measured.recover_expired() == 1
    with pytest.raises(LeaseLostError):
        complete(measured, claim)
    assert outcomes(registry) == {}
    assert registry.get_sample_value("speech_worker_leases_lost_total") == 1
