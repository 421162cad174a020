"""The worker as its operator starts it, with the real evaluator and a miniature model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hub_helpers import REPOSITORY_ROOT, RunningHub, running_hub
from service_helpers import new_submission, open_directory, wait_until

from scripts.make_miniature import make_miniature
from voice_validation_api.database import Database
from voice_validation_api.postgres import ensure_postgres
from voice_validation_api.records import Submission
from voice_validation_api.status import AttemptOutcome, SubmissionStatus
from voice_validation_api.store import Store

EVALUATION_SECONDS = 240.0  # on a busy machine


@dataclass
class Service:
    """An embedded Postgres, a hub with one miniature, and the means to start workers."""

    path: Path
    hub: RunningHub
    store: Store
    revision: str

    def submit(self, block: int = 100) -> Submission:
        return self.store.submit(new_submission(block, name="miniature", revision=self.revision))

    def current(self, submission: Submission) -> Submission:
        found = self.store.get(submission.id)
        assert found is not None
        return found

    def start(self, *flags: str, **environment: str) -> subprocess.Popen[bytes]:
        return start_worker(
            *flags,
            VAR_DIR=str(self.path),
            HF_ENDPOINT=self.hub.url,
            WORKER_PROMPT_COUNT="2",
            WORKER_MAX_SECONDS="4",
            WORKER_CALIBRATION="false",
            WORKER_CANARY="false",
            WORKER_LAUNCHER="process",
            WORKER_LEASE="PT2S",
            WORKER_POLL="PT0.2S",
            **environment,
        )


def start_worker(*flags: str, **environment: str) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "voice_validation_api/worker_queue.py", *flags],
        cwd=REPOSITORY_ROOT,
        env={**kept, **environment},
        stderr=subprocess.PIPE,
    )


def wait_for(
    worker: subprocess.Popen[bytes], condition: Callable[[], bool], seconds: float
) -> None:
    """Wait for ``condition`` for as long as the worker lives."""
    wait_until(lambda: worker.poll() is not None or condition(), seconds)
    assert condition(), f"the worker ended with {worker.returncode}"


def evaluators_of(service: Service) -> list[int]:
    """The processes that work below the service's directory, by number."""
    work = str(service.path / "work")
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [pid for pid in pids if work in _command_line(pid)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    miniature = tmp_path_factory.mktemp("miniature")
    make_miniature(miniature, seed=1)
    files = {file.name: file.read_bytes() for file in miniature.iterdir()}
    with (
        open_directory() as path,
        running_hub(tmp_path_factory.mktemp("hub")) as hub,
        ensure_postgres(None, path) as dsn,
        closing(Database(dsn, size=2, application="tests")) as database,
    ):
        yield Service(path, hub, Store(database), hub.publish("miniature", files))


def test_a_worker_killed_in_mid_evaluation_costs_a_lease_and_scores_once(
    service: Service,
) -> None:
    submission = service.submit()
    lost = service.start()
    try:
        running = SubmissionStatus.RUNNING
        wait_for(lost, lambda: service.current(submission).status is running, 60)
        wait_for(lost, lambda: evaluators_of(service) != [], 60)
    finally:
        lost.kill()
        lost.communicate()
    wait_until(lambda: evaluators_of(service) == [], 60)
    assert service.current(submission).status is SubmissionStatus.RUNNING

    successor = service.start()
    try:
        done = SubmissionStatus.COMPLETED
        wait_for(successor, lambda: service.current(submission).status is done, EVALUATION_SECONDS)
    finally:
        successor.terminate()
        _, log = successor.communicate()
    assert successor.returncode == 0, log.decode()
    attempts = service.store.attempts(submission.id)
    assert [(a.outcome, a.failure_code) for a in attempts] == [
        (AttemptOutcome.RETRIED, "WORKER_LOST"),
        (AttemptOutcome.COMPLETED, None),
    ]
    result = service.store.result(submission.id)
    assert result is not None
    assert result.scored + result.unscored == 2
    row = service.current(submission)
    assert row.weights_digest is not None
    clips = [s.audio for s in service.store.samples(submission.id, limit=10) if s.audio]
    for clip in clips:
        assert (service.path / "audio" / clip).read_bytes().startswith(b"RIFF")
    assert [path.name for path in (service.path / "work").iterdir()] == ["lock"]


def test_a_worker_that_is_terminated_hands_back_after_its_grace(service: Service) -> None:
    submission = service.submit(block=200)
    worker = service.start(WORKER_GRACE="PT0S")
    try:
        running = SubmissionStatus.RUNNING
        wait_for(worker, lambda: service.current(submission).status is running, 60)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    finally:
        worker.kill()
        worker.communicate()
    row = service.current(submission)
    assert (row.status, row.attempts) == (SubmissionStatus.QUEUED, 0)
    assert [a.outcome for a in service.store.attempts(submission.id)] == [
        AttemptOutcome.HANDED_BACK
    ]
    assert evaluators_of(service) == []


@pytest.mark.parametrize(
    ("flags", "environment", "code", "told"),
    [
        (["--queues", "0"], {}, 2, "wrong setting queues"),
        (["--gpu-ids", "first"], {}, 2, "wrong setting gpu_ids"),
        (["--gpu-ids", "0,1", "--queues", "3"], {}, 2, "3 queues cannot share 2 GPUs"),
        (["--gpu-ids", "0,00"], {}, 2, "0,00 names a GPU twice"),
        (
            ["--launcher", "docker"],
            {"DOCKER_HOST": "unix:///nowhere.sock"},
            4,
            "no Docker engine answers",
        ),
        ([], {"AUDIO_STORE": "ftp://host/x"}, 2, "only a directory or s3://bucket/prefix"),
        ([], {"WORKER_PROMPT_COUNT": "many"}, 2, "prompt_count"),
        (
            [],
            {"POSTGRES_URL": "host=/nowhere user=u", "POSTGRES_WAIT_SECONDS": "0"},
            3,
            "no usable database: cannot connect to Postgres",
        ),
        ([], {"POSTGRES_URL": "postgres//u:secret@h"}, 3, "is malformed"),
    ],
)
def test_a_worker_that_cannot_start_says_why(
    tmp_path: Path, flags: list[str], environment: dict[str, str], code: int, told: str
) -> None:
    worker = start_worker(*flags, VAR_DIR=str(tmp_path), **environment)
    _, log = worker.communicate(timeout=60)
    assert (worker.returncode, told in log.decode()) == (code, True), log.decode()
    assert "secret" not in log.decode()
    assert "Traceback" not in log.decode()
