"""What a worker tells Prometheus about itself: claims, outcomes, time per stage, disk, canary."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from voice_validation_api.canary_ledger import Verdict
from voice_validation_api.failures import AnyCode
from voice_validation_api.status import AttemptOutcome

STAGES: Final = ("download", "evaluate", "record")
UNKNOWN: Final = "UNKNOWN"
"""The verdict of a canary that did not run yet, or is switched off."""
_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200)


class QueueHealth(Protocol):
    """One queue of a worker, as far as it can be in trouble."""

    @property
    def pause_reason(self) -> str | None:
        """Why nothing is claimed."""

    @property
    def canary_verdict(self) -> Verdict | None:
        """What its canary said last."""


class WorkerMetrics:
    """What is counted while a worker works; shared by its queues. Without a registry nobody sees
    it."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.claims = Counter(
            "speech_worker_claims_total", "Submissions claimed.", registry=registry
        )
        self.active = Gauge(
            "speech_worker_evaluations_active", "Submissions in work.", registry=registry
        )
        self.leases_lost = Counter(
            "speech_worker_leases_lost_total",
            "Evaluations whose lease was lost: nothing was recorded.",
            registry=registry,
        )
        self._outcomes = Counter(
            "speech_worker_evaluations_total",
            "Evaluations that were recorded, by outcome and failure code.",
            ("outcome", "code"),
            registry=registry,
        )
        self._stages = Histogram(
            "speech_worker_stage_seconds",
            "Time that one stage of an evaluation took, however it ended.",
            ("stage",),
            registry=registry,
            buckets=_SECONDS,
        )
        for stage in STAGES:
            # A series that is there from the start can be counted on.
            self._stages.labels(stage)

    def recorded(self, outcome: AttemptOutcome, code: AnyCode | None = None) -> None:
        """An attempt was settled."""
        self._outcomes.labels(outcome.value, code.name if code is not None else "").inc()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as one of ``STAGES``."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._stages.labels(name).observe(time.monotonic() - started)


class WorkerCollector(Collector):
    """What is looked up when Prometheus asks: disk, cache, and the health of the queues.

    ``free_bytes`` and ``cache_bytes`` measure.
    """

    def __init__(
        self,
        queues: Sequence[QueueHealth],
        *,
        pause_reasons: Sequence[str],
        free_bytes: Callable[[], int],
        cache_bytes: Callable[[], int],
    ) -> None:
        self._queues = queues
        self._pause_reasons = pause_reasons
        self._free_bytes = free_bytes
        self._cache_bytes = cache_bytes

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics of this moment."""
        yield _gauge(
            "speech_worker_disk_free_bytes", "Room on the disk of VAR_DIR.", self._free_bytes()
        )
        yield _gauge("speech_worker_cache_bytes", "Size of the model cache.", self._cache_bytes())
        yield _gauge("speech_worker_queues", "Evaluations at the same time.", len(self._queues))
        paused = Tally(queue.pause_reason for queue in self._queues)
        yield _tally(
            "speech_worker_queues_paused",
            "Queues that claim nothing, by reason.",
            "reason",
            {reason: paused[reason] for reason in self._pause_reasons},
        )
        said = Tally(queue.canary_verdict for queue in self._queues)
        yield _tally(
            "speech_worker_canaries",
            "Queues by what their canary said last.",
            "verdict",
            {UNKNOWN: said[None], **{verdict.value: said[verdict] for verdict in Verdict}},
        )


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)


def _tally(name: str, documentation: str, label: str, counts: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
