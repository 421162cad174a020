"""A worker on another machine: it shares Postgres, the hub and the audio store, and no file.

The real evaluator scores a miniature, and the real canary goes before it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hub_helpers import REPOSITORY_ROOT, RunningHub, running_hub
from object_store import BUCKET, ObjectStore, running_object_store
from service_helpers import fresh_database, new_submission, run_sql
from service_processes import running_api

from scripts.make_miniature import make_miniature
from voice_validation_api.canary_ledger import Verdict, newest_checks
from voice_validation_api.database import Database
from voice_validation_api.records import Submission
from voice_validation_api.status import SubmissionStatus
from voice_validation_api.store import Store
from voice_validation_api.worker_roles import WorkerRoles

WORK_SECONDS = 240.0  # on a busy machine
PREFIX = f"s3://{BUCKET}/speech"


@dataclass(frozen=True)
class Shared:
    """All that the machines have in common."""

    dsn: str
    worker_dsn: str
    hub: RunningHub
    objects: ObjectStore
    database: Database

    def work(self, machine: Path) -> tuple[int, str]:
        """Run a worker until nothing is left, on a machine of its own; exit code and log."""
        machine.mkdir()
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        worker = subprocess.run(
            [sys.executable, REPOSITORY_ROOT / "voice_validation_api/worker_queue.py", "--drain"],
            cwd=machine,
            env={
                **kept,
                **self.objects.environment,
                "HOME": str(machine),
                "POSTGRES_URL": self.worker_dsn,
                "HF_ENDPOINT": self.hub.url,
                "AUDIO_STORE": PREFIX,
                "WORKER_LAUNCHER": "process",
                "WORKER_PROMPT_COUNT": "1",
                "WORKER_MAX_SECONDS": "2",
                "WORKER_CALIBRATION": "false",
            },
            stderr=subprocess.PIPE,
            text=True,
            timeout=WORK_SECONDS,
            check=False,
        )
        return worker.returncode, worker.stderr


@pytest.fixture(scope="module")
def shared(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shared]:
    role = f"worker_{secrets.token_hex(4)}"
    with (
        fresh_database(server, template) as dsn,
        running_hub(tmp_path_factory.mktemp("hub")) as hub,
        running_object_store() as objects,
        closing(Database(dsn, size=2, application="tests")) as database,
    ):
        worker_dsn = WorkerRoles(dsn).create(role, connections=10)
        yield Shared(dsn, worker_dsn, hub, objects, database)
        WorkerRoles(dsn).drop(role)


@dataclass(frozen=True)
class Evaluated:
    """A submission that a worker elsewhere evaluated, and what that worker said."""

    submission: Submission
    code: int
    log: str
    machine: Path


@pytest.fixture(scope="module")
def evaluated(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    revision = publish_miniature(shared.hub, tmp_path_factory.mktemp("miniature"))
    store = Store(shared.database)
    submission = store.submit(new_submission(name="miniature", revision=revision))
    machine = tmp_path_factory.mktemp("machines") / "elsewhere"
    code, log = shared.work(machine)
    row = store.get(submission.id)
    assert row is not None
    return Evaluated(row, code, log, machine)


def publish_miniature(hub: RunningHub, path: Path) -> str:
    make_miniature(path, seed=1)
    return hub.publish("miniature", {file.name: file.read_bytes() for file in path.iterdir()})


@pytest.mark.slow
def test_a_worker_elsewhere_needs_the_database_the_hub_and_the_audio_store(
    shared: Shared, evaluated: Evaluated, tmp_path: Path
) -> None:
    assert evaluated.code == 0, evaluated.log
    assert evaluated.submission.status is SubmissionStatus.COMPLETED, evaluated.log
    assert "trusted on first use" in evaluated.log
    assert not (evaluated.machine / "var" / "audio").exists()

    store, submission = Store(shared.database), evaluated.submission
    (sample,) = store.samples(submission.id, limit=10)
    assert sample.audio is not None
    content = shared.objects.read(f"{BUCKET}/speech/{sample.audio}")
    assert content[:4] == b"RIFF"
    here = {
        **shared.objects.environment,
        "POSTGRES_URL": shared.dsn,
        "AUDIO_STORE": PREFIX,
        "VAR_DIR": str(tmp_path / "here"),
    }
    clip = f"/submissions/{submission.id}/audio/{sample.prompt_index}"
    with running_api(here, tmp_path / "api.log") as api:
        whole = api.client.get(clip)
        assert (whole.status_code, whole.content) == (200, content)
        assert whole.headers["Content-Type"] == "audio/wav"
        part = api.client.get(clip, headers={"Range": "bytes=8-11"})
        assert (part.status_code, part.content) == (206, b"WAVE")
        assert part.headers["Content-Range"] == f"bytes 8-11/{len(content)}"
        beyond = api.client.get(clip, headers={"Range": f"bytes={len(content)}-"})
        assert (beyond.status_code, beyond.headers["Content-Range"]) == (
            416,
            f"bytes */{len(content)}",
        )


@pytest.mark.slow
def test_a_machine_that_drifts_takes_no_work_and_says_so(
    shared: Shared, evaluated: Evaluated, tmp_path: Path
) -> None:
    (check,) = newest_checks(shared.database)
    assert (check.canary, check.verdict) == ("hibari", Verdict.HEALTHY), evaluated.log
    store = Store(shared.database)
    waiting = store.submit(new_submission(block=200, revision="ef" * 20))
    run_sql(shared.dsn, "UPDATE canary_scores SET human_likeness = human_likeness - 0.05")

    code, log = shared.work(tmp_path / "drifting")
    assert code == 5, log
    assert "CRITICAL" in log
    assert "human likeness" in log
    (check,) = newest_checks(shared.database)
    assert check.verdict is Verdict.DRIFTED
    row = store.get(waiting.id)
    assert row is not None
    assert (row.status, row.attempts) == (SubmissionStatus.QUEUED, 0)
