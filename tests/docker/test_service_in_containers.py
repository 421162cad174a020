"""The documented commands, with a real miniature: worker and evaluator both in containers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from engine_helpers import REPOSITORY_ROOT, WORKER, build, docker, image_context, leftovers
from forwarding import forwarded
from hub_helpers import RunningHub, running_hub
from psycopg2.extensions import parse_dsn
from service_helpers import new_submission, open_directory, wait_until

from voice_validation_api.database import Database
from voice_validation_api.postgres import ensure_postgres
from voice_validation_api.records import Submission
from voice_validation_api.status import AttemptOutcome, SubmissionStatus
from voice_validation_api.store import Store

SOCKET = "/var/run/docker.sock:/var/run/docker.sock"
RUN_WORKER = ["run", "-d", "--name", WORKER, "-v", SOCKET, "worker-image"]
EVALUATION_SECONDS = 240.0


@dataclass(frozen=True)
class Service:
    """Postgres and hub on this machine, and the address under which containers find them."""

    store: Store
    revision: str
    environment: dict[str, str]

    def submit(self, block: int) -> Submission:
        return self.store.submit(new_submission(block, name="miniature", revision=self.revision))

    def status(self, submission: Submission) -> SubmissionStatus:
        found = self.store.get(submission.id)
        assert found is not None
        return found.status


@pytest.fixture(scope="module")
def service(gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    miniature = tmp_path_factory.mktemp("miniature")
    script = [sys.executable, "scripts/make_miniature.py", "--out", str(miniature), "--seed", "1"]
    subprocess.run(script, cwd=REPOSITORY_ROOT, check=True)
    files = {file.name: file.read_bytes() for file in miniature.iterdir()}
    with (
        open_directory() as path,
        running_hub(tmp_path_factory.mktemp("hub")) as hub,
        ensure_postgres(None, path) as dsn,
        closing(Database(dsn, size=2, application="tests")) as database,
        forwarded(gateway, _address(hub)) as hub_port,
        forwarded(gateway, Path(parse_dsn(dsn)["host"]) / ".s.PGSQL.5432") as postgres_port,
    ):
        facts = parse_dsn(dsn)
        place = f"{facts['user']}@{gateway}:{postgres_port}/{facts['dbname']}"
        environment = {
            "POSTGRES_URL": f"postgresql://{place}",
            "HF_ENDPOINT": f"http://{gateway}:{hub_port}",
            "WORKER_PROMPT_COUNT": "2",
            "WORKER_MAX_SECONDS": "4",
            "WORKER_CALIBRATION": "false",
            "WORKER_CANARY": "false",
            "WORKER_LEASE": "PT4S",
            "WORKER_POLL": "PT0.2S",
        }
        yield Service(Store(database), hub.publish("miniature", files), environment)


def _address(hub: RunningHub) -> tuple[str, int]:
    parts = urlsplit(hub.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@pytest.fixture
def worker_image(
    build_args: list[str], evaluator_image: str, service: Service, tmp_path: Path
) -> str:
    """The worker, built as documented beside a .env."""
    context = image_context(tmp_path, service.environment)
    return build("worker.Dockerfile", "worker-image", build_args, context)


@pytest.fixture
def removed_worker(engine: Any) -> Iterator[None]:
    """Takes the worker's container away after the test, and its volume."""
    assert not docker("ps", "-aq", "--filter", f"name=^{WORKER}$"), f"{WORKER} is there already"
    yield
    docker("rm", "-f", "-v", WORKER, check=False)


def wait_for(service: Service, submission: Submission, status: SubmissionStatus) -> None:
    def reached() -> bool:
        running = docker("inspect", "-f", "{{.State.Running}}", WORKER)
        assert running == "true", docker("logs", WORKER)
        return service.status(submission) is status

    wait_until(reached, EVALUATION_SECONDS)


@pytest.mark.usefixtures("nothing_left", "worker_image", "removed_worker")
def test_the_documented_worker_scores_a_miniature_and_survives_a_kill(
    engine: Any, service: Service
) -> None:
    submission = service.submit(block=100)
    docker(*RUN_WORKER)
    wait_for(service, submission, SubmissionStatus.RUNNING)
    wait_until(lambda: len(leftovers(engine)) == 3, 60)
    docker("kill", WORKER)
    orphans = leftovers(engine)
    assert len(orphans) == 3

    docker("start", WORKER)
    wait_until(lambda: not set(orphans) & set(leftovers(engine)), 60)
    wait_for(service, submission, SubmissionStatus.COMPLETED)
    attempts = service.store.attempts(submission.id)
    assert [(a.outcome, a.failure_code) for a in attempts] == [
        (AttemptOutcome.RETRIED, "WORKER_LOST"),
        (AttemptOutcome.COMPLETED, None),
    ]
    clips = [s.audio for s in service.store.samples(submission.id, limit=10) if s.audio]
    assert clips
    kept = docker("exec", WORKER, "sh", "-c", f"head -c 4 /app/var/audio/{clips[0]}")
    assert kept == "RIFF"

    docker("stop", WORKER)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", WORKER) == "0", docker("logs", WORKER)


def test_the_evaluators_image_holds_scoring_and_no_other_code(evaluator_image: str) -> None:
    listed = docker("run", "--rm", "--entrypoint", "ls", evaluator_image, "-A", "/app")
    assert listed.split() == ["scoring"]
    assert docker("inspect", "-f", "{{.Config.User}}", evaluator_image) == "10001:10001"
