"""What a worker's queues are made of, and which of it they share."""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import dataclass

from utilities.hub import Hub
from voice_validation_api.audio_base import AudioStore
from voice_validation_api.calibration import Calibration
from voice_validation_api.canary import Canary
from voice_validation_api.canary_ledger import CanaryLedger
from voice_validation_api.database_access import DatabaseAccess
from voice_validation_api.disk_watch import DiskWatch
from voice_validation_api.evaluation import Evaluator
from voice_validation_api.launchers.base import Launcher
from voice_validation_api.measured_queue import MeasuredQueue
from voice_validation_api.metrics_worker import WorkerMetrics
from voice_validation_api.model_cache import ModelCache
from voice_validation_api.settings import WorkerSettings
from voice_validation_api.wakeup import Wakeup
from voice_validation_api.worker import Stops, Worker
from voice_validation_api.workspaces import Workspaces


@dataclass(frozen=True)
class SharedParts:
    """What the queues of one worker share."""

    settings: WorkerSettings
    access: DatabaseAccess
    launcher: Launcher
    workspaces: Workspaces
    models: ModelCache
    disk: DiskWatch
    audio: AudioStore
    stops: Stops
    metrics: WorkerMetrics


def make_worker(shared: SharedParts, number: int) -> Worker:
    """The queue with this number, from 0 on, and what it has for itself."""
    settings, stops = shared.settings, shared.stops
    evaluator = _evaluator(shared, number)
    name = f"{socket.gethostname()[:64]}:{os.getpid()}:{number}:{secrets.token_hex(4)}"
    queue = MeasuredQueue(
        shared.access.pool, worker_id=name, lease=settings.lease, metrics=shared.metrics
    )
    # One queue is enough for the few voices.
    calibrates = settings.calibration and number == 0
    calibration = Calibration(
        queue,
        evaluator,
        shared.audio,
        shared.workspaces,
        stops.soon,
        seed=settings.prompt_seed,
    )
    token = settings.hub_token
    return Worker(
        settings=settings,
        queue=queue,
        wakeup=Wakeup(shared.access.dsn, stops.soon),
        hub=Hub(endpoint=settings.hub_endpoint, token=token.get_secret_value() if token else None),
        models=shared.models,
        disk=shared.disk,
        evaluator=evaluator,
        audio=shared.audio,
        workspaces=shared.workspaces,
        stops=stops,
        calibration=calibration if calibrates else None,
        canary=_canary(shared, number, evaluator) if settings.canary else None,
        metrics=shared.metrics,
    )


def _evaluator(shared: SharedParts, number: int) -> Evaluator:
    settings = shared.settings
    return Evaluator(
        settings,
        shared.launcher,
        gpu=settings.gpus[number] if settings.gpus else None,
        threads=max(1, len(os.sched_getaffinity(0)) // settings.queue_count),
    )


def _canary(shared: SharedParts, number: int, evaluator: Evaluator) -> Canary:
    settings = shared.settings
    # The same after a restart, so that a queue has one line among the checks.
    device = f"gpu-{settings.gpus[number]}" if settings.gpus else f"cpu-{number}"
    worker_id = f"{socket.gethostname()[:64]}:{device}"
    return Canary(
        CanaryLedger(shared.access.pool, worker_id=worker_id),
        evaluator,
        shared.workspaces,
        interval=settings.canary_interval,
        tolerance=settings.canary_tolerance,
        stop=shared.stops.soon,
        clock=time.monotonic,
    )
