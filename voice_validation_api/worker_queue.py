"""The worker: claims submissions, evaluates them, records the scores.

    python voice_validation_api/worker_queue.py [--queues N] [--gpu-ids 0,1] [--launcher auto]

Settings come from the environment (``WORKER_...``, ``POSTGRES_URL``, ``VAR_DIR``, ``HF_ENDPOINT``)
and ``.env``; flags override them. SIGTERM or SIGINT: claim nothing more, finish what is being
evaluated within the grace period, hand back the rest; a second signal hands back at once. Exit
codes: 0 stopped as told, 1 a fault of this program, 2 wrong settings, 3 no usable database, 4 the
launcher is not available, 5 with --drain: work may be left, for the disk is full or the canary ill.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import ValidationError

from utilities.http_server import CannotListenError
from utilities.logs import configure_logging
from utilities.redaction import secrets_of
from voice_validation_api.audio_store import open_audio_store
from voice_validation_api.database_access import open_database
from voice_validation_api.disk_watch import DiskWatch, free_bytes
from voice_validation_api.launchers.base import Launcher, LauncherUnavailableError
from voice_validation_api.launchers.choose import choose_launcher
from voice_validation_api.metrics import metrics_served, new_registry
from voice_validation_api.metrics_worker import WorkerCollector, WorkerMetrics
from voice_validation_api.model_cache import ModelCache
from voice_validation_api.postgres import NO_USABLE_DATABASE
from voice_validation_api.settings import WorkerSettings, wrong_settings
from voice_validation_api.wakeup import Stop
from voice_validation_api.worker import PAUSE_REASONS, Stops, Worker
from voice_validation_api.worker_parts import SharedParts, make_worker
from voice_validation_api.workspaces import worker_workspaces

EXIT_FAULT, EXIT_SETTINGS, EXIT_DATABASE, EXIT_LAUNCHER, EXIT_PAUSED = 1, 2, 3, 4, 5
LOOK_SECONDS = 0.2

log = logging.getLogger("worker_queue")


def main(argv: Sequence[str] | None = None) -> int:
    """Work until told to stop; returns the exit code."""
    try:
        settings = _settings(argv)
    except ValidationError as error:
        sys.stderr.write(wrong_settings(error))
        return EXIT_SETTINGS
    configure_logging(settings.log_level, settings.log_format, secrets=secrets_of(settings))
    # Until there is something to finish, a signal just ends the program, which cleans up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        launcher = choose_launcher(settings.launcher)
        with ExitStack() as resources:
            return _run(settings, launcher, resources)
    except LauncherUnavailableError as error:
        log.critical("%s", error)
        return EXIT_LAUNCHER
    except CannotListenError as error:
        log.critical("%s. %s", error.message, error.remedy)
        return EXIT_SETTINGS
    except KeyboardInterrupt:
        return 0


def _run(settings: WorkerSettings, launcher: Launcher, resources: ExitStack) -> int:
    queues = settings.queue_count
    try:
        audio = open_audio_store(settings)
        # Found out now, and not after the first evaluation.
        audio.check()
    except OSError as error:
        log.critical("the audio store cannot be written: %s. AUDIO_STORE says which.", error)
        return EXIT_SETTINGS
    try:
        # A queue and its heartbeat need a connection each, the watch over Postgres another.
        access = resources.enter_context(
            open_database(settings, size=2 * queues + 1, application="worker", for_worker=True)
        )
    except NO_USABLE_DATABASE as error:
        log.critical("no usable database: %s. POSTGRES_URL says which one is used.", error)
        return EXIT_DATABASE
    workspaces = resources.enter_context(worker_workspaces(settings.var_dir / "work"))
    models = ModelCache(
        settings.var_dir / "models",
        max_bytes=settings.cache_bytes,
        min_free_bytes=settings.min_free_bytes,
    )
    disk = DiskWatch(
        low_bytes=settings.min_free_bytes,
        free=partial(free_bytes, settings.var_dir),
        evict=models.evict,
    )
    stops = Stops(soon=Stop(), now=Stop())
    registry = new_registry()
    metrics = WorkerMetrics(registry)
    shared = SharedParts(
        settings, access, launcher, workspaces, models, disk, audio, stops, metrics
    )
    workers = [make_worker(shared, number) for number in range(queues)]
    if settings.metrics_port is not None:
        collector = WorkerCollector(
            workers,
            pause_reasons=PAUSE_REASONS,
            free_bytes=partial(free_bytes, settings.var_dir),
            cache_bytes=lambda: sum(entry.size_bytes for entry in models.entries()),
        )
        registry.register(collector)
        resources.enter_context(
            metrics_served(registry, settings.metrics_host, settings.metrics_port)
        )
    _install_signals(stops)
    log.info("working with %d queues, launcher=%s", queues, type(launcher).__name__)
    code = _work(workers, stops, settings.grace)
    left = settings.drain and any(worker.pause_reason for worker in workers)
    return EXIT_PAUSED if code == 0 and left else code


def _work(workers: Sequence[Worker], stops: Stops, grace: timedelta) -> int:
    with ThreadPoolExecutor(len(workers), thread_name_prefix="queue") as pool:
        queues: list[Future[None]] = [pool.submit(worker.run) for worker in workers]
        while _running(queues) and not stops.soon.is_set():
            pass
        # One queue that broke stops the program: whoever watches over it starts it anew.
        stops.soon.set()
        deadline = time.monotonic() + grace.total_seconds()
        while _running(queues) and not stops.now.is_set() and time.monotonic() < deadline:
            pass
        stops.now.set()
    faults = [fault for queue in queues if (fault := queue.exception()) is not None]
    for fault in faults:
        log.critical("a queue broke", exc_info=fault)
    log.info("stopped")
    return EXIT_FAULT if faults else 0


def _running(queues: Sequence[Future[None]]) -> bool:
    """Wait a moment; whether queues still run and none has broken."""
    done, running = wait(queues, timeout=LOOK_SECONDS, return_when=FIRST_EXCEPTION)
    return bool(running) and not any(queue.exception() for queue in done)


def _install_signals(stops: Stops) -> None:
    def handle(_number: int, _frame: Any) -> None:
        (stops.now if stops.soon.is_set() else stops.soon).set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def _settings(argv: Sequence[str] | None) -> WorkerSettings:
    lines = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(description=lines[0], epilog=lines[-1])
    parser.add_argument("--queues", type=int, help="evaluations at the same time")
    parser.add_argument("--gpu-ids", help="GPUs by number, one per queue, such as 0,1")
    parser.add_argument("--launcher", choices=["auto", "process", "docker"])
    parser.add_argument(
        "--drain", action="store_true", default=None, help="exit when nothing is left to claim"
    )
    flags = {
        key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None
    }
    return WorkerSettings(**flags)


if __name__ == "__main__":
    sys.exit(main())
