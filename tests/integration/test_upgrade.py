"""A new release's migrations under workers of the one before it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn
from queue_helpers import SCORE, insert_waiting
from service_helpers import run_sql
from service_processes import REPOSITORY_ROOT

from voice_validation_api import migrations
from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.migrations import migrate
from voice_validation_api.records import Claim
from voice_validation_api.status import SubmissionStatus
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

FIRST_WITH_WORKERS = 4
"""The migration that brought the functions that workers call."""
SURFACE = """
    SELECT p.oid::regprocedure::text, p.prorettype::regtype::text, p.proretset
    FROM pg_proc p WHERE p.pronamespace = 'worker_api'::regnamespace
"""


@pytest.fixture
def old(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database as the first release with restricted workers left it."""
    name = f"old_{secrets.token_hex(6)}"
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    dsn = make_dsn(server, dbname=name)
    known = migrations.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "migrations", lambda: known[:FIRST_WITH_WORKERS])
        migrate(dsn)
    yield dsn
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def test_what_was_claimed_before_the_migrations_is_settled_after_them(old: str) -> None:
    with closing(Database(old, size=2, application="tests")) as database:
        store = Store(database)
        # Submitted and claimed as the release before did it.
        insert_waiting(old, 3)
        queue = SubmissionQueue(database, worker_id="worker-a", lease=timedelta(seconds=60))
        scored, failed, handed_back = [_claim(old) for _ in range(3)]
        queue.start_running(scored)

        assert len(migrate(old)) == len(migrations.migrations()) - FIRST_WITH_WORKERS

        queue.heartbeat(scored)
        queue.complete(scored, SCORE, weights_digest=None, details={}, samples=[], log="")
        queue.fail(failed, ServiceCode.MODEL_REFUSED, public="too large")
        queue.hand_back(handed_back)
        rows = [store.get(claim.submission_id) for claim in (scored, failed, handed_back)]
        assert [row.status for row in rows if row is not None] == [
            SubmissionStatus.COMPLETED,
            SubmissionStatus.FAILED,
            SubmissionStatus.QUEUED,
        ]
        again = queue.claim()
        assert again is not None
        assert again.submission_id == handed_back.submission_id


def _claim(dsn: str) -> Claim:
    claimed = "SELECT row_to_json(c) FROM worker_api.claim_submission('worker-a', '1 minute') c"
    [[row]] = run_sql(dsn, claimed)
    return Claim(**row, prompt_seed=None)


def test_what_older_workers_call_is_there_unchanged(old: str) -> None:
    before = set(run_sql(old, SURFACE))
    assert len(before) > 5
    migrate(old)
    assert before <= set(run_sql(old, SURFACE))


def test_a_worker_that_is_older_than_the_schema_says_so(dsn: str, tmp_path: Path) -> None:
    run_sql(dsn, "INSERT INTO schema_migrations VALUES (999, 'future', 'x')")
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "voice_validation_api/worker_queue.py", "--launcher", "process"],
        cwd=REPOSITORY_ROOT,
        env={**kept, "POSTGRES_URL": dsn, "VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "newer release" in done.stderr
    assert "Traceback" not in done.stderr
