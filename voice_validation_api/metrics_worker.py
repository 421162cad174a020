"""What a worker tells Prometheus about itself: claims, outcomes, time per stage, disk, canary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from voice_validation_api.failures import AnyCode
from voice_validation_api.status import AttemptOutcome

STAGES: Final = ("download", "evaluate", "record")
_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200)


class WorkerMetrics:
    """Shared by the queues of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.claims = Counter(
            "speech_worker_claims_total", "Submissions claimed.", registry=registry
        )
        self.active = Gauge(
            "speech_worker_evaluations_active", "Evaluations at this moment.", registry=registry
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

    def watch_cache(self, used_bytes: Callable[[], float]) -> None:
        """Show how much the model cache holds."""
        self._watch("speech_worker_cache_bytes", "Bytes in the model cache.", used_bytes)

    def watch_disk(self, free_bytes: Callable[[], float]) -> None:
        """Show how much room is left where the worker writes."""
        self._watch("speech_worker_disk_free_bytes", "Bytes free below VAR_DIR.", free_bytes)

    def watch_pause(self, reasons: Sequence[str], reason: Callable[[], str | None]) -> None:
        """Show which of ``reasons``, if any, keeps the worker from claiming."""
        paused = Gauge(
            "speech_worker_paused",
            "1 for the reason for which nothing is claimed.",
            ("reason",),
            registry=self._registry,
        )
        for known in reasons:
            paused.labels(known).set_function(_is(reason, known))

    def watch_canary(self, healthy: Callable[[], bool | None], drift: Callable[[], float]) -> None:
        """Show whether the fixed model scores as it should, and how far off it is."""
        self._watch(
            "speech_worker_canary_ok",
            "1: the canary scores as expected, 0: it drifted, -1: it did not run yet.",
            lambda: -1 if (ok := healthy()) is None else int(ok),
        )
        self._watch(
            "speech_worker_canary_drift",
            "Difference of the canary's newest score to the expected one.",
            drift,
        )

    def _watch(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        Gauge(name, documentation, registry=self._registry).set_function(value)


def _is(reason: Callable[[], str | None], known: str) -> Callable[[], float]:
    return lambda: float(reason() == known)
