"""What a worker counts about itself."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from voice_validation_api.failures import ServiceCode
from voice_validation_api.metrics_worker import STAGES, WorkerMetrics
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


def test_gauges_are_read_when_they_are_asked_for(
    metrics: WorkerMetrics, registry: CollectorRegistry
) -> None:
    reason: list[str | None] = [None]
    metrics.watch_pause(("disk", "canary"), lambda: reason[-1])
    metrics.watch_canary(lambda: None, lambda: 0.0)
    metrics.watch_cache(lambda: 17)
    reason.append("disk")
    assert registry.get_sample_value("speech_worker_paused", {"reason": "disk"}) == 1
    assert registry.get_sample_value("speech_worker_paused", {"reason": "canary"}) == 0
    assert registry.get_sample_value("speech_worker_canary_ok") == -1
    assert registry.get_sample_value("speech_worker_cache_bytes") == 17
