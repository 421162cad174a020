"""What a worker counts about itself."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry

from voice_validation_api.canary_ledger import Verdict
from voice_validation_api.failures import ServiceCode
from voice_validation_api.metrics_worker import STAGES, UNKNOWN, WorkerCollector, WorkerMetrics
from voice_validation_api.status import AttemptOutcome


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> WorkerMetrics:
    return WorkerMetrics(registry)


def test_outcomes_are_counted_by_failure_code(
    metrics: WorkerMetrics, registry: CollectorRegistry
) -> None:
    metrics.recorded(AttemptOutcome.COMPLETED)
    metrics.recorded(AttemptOutcome.RETRIED, ServiceCode.TIME_LIMIT)
    metrics.recorded(AttemptOutcome.RETRIED, ServiceCode.TIME_LIMIT)
    name = "speech_worker_evaluations_total"
    labels = {"outcome": "RETRIED", "code": "TIME_LIMIT"}
    assert registry.get_sample_value(name, labels) == 2
    assert registry.get_sample_value(name, {"outcome": "COMPLETED", "code": ""}) == 1


def test_a_stage_that_fails_is_timed_too(
    metrics: WorkerMetrics, registry: CollectorRegistry
) -> None:
    with pytest.raises(OSError, match="disk"), metrics.stage("download"):
        raise OSError("disk")
    counts = {
        stage: registry.get_sample_value("speech_worker_stage_seconds_count", {"stage": stage})
        for stage in STAGES
    }
    assert counts == {"download": 1, "evaluate": 0, "record": 0}


@dataclass
class Queue:
    pause_reason: str | None = None
    canary_verdict: Verdict | None = None


def test_the_health_of_queues_is_counted_when_it_is_asked_for(registry: CollectorRegistry) -> None:
    queues = [Queue(), Queue(), Queue()]
    collector = WorkerCollector(
        queues,
        pause_reasons=("disk", "canary"),
        free_bytes=lambda: 10**9,
        cache_bytes=lambda: 17,
    )
    registry.register(collector)
    queues[0].pause_reason, queues[0].canary_verdict = "canary", Verdict.DRIFTED
    queues[1].canary_verdict = Verdict.HEALTHY

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"speech_worker_{name}", labels)

    assert value("queues") == 3
    assert value("queues_paused", reason="canary") == 1
    assert value("queues_paused", reason="disk") == 0
    assert value("canaries", verdict="DRIFTED") == 1
    assert value("canaries", verdict="HEALTHY") == 1
    assert value("canaries", verdict=UNKNOWN) == 1
    assert value("disk_free_bytes") == 10**9
    assert value("cache_bytes") == 17
