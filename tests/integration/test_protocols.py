"""What a protocol consists of: kept once, by its own digest, and served for ever."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import queue_helpers
from service_helpers import new_submission, run_sql
from service_processes import running_api

from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

RECORD = json.dumps({"code": {"engine": "e" * 64}, "max_seconds": 30.0}, separators=(",", ":"))
DIGEST = hashlib.sha256(RECORD.encode()).hexdigest()
SCORE = replace(queue_helpers.SCORE, protocol=DIGEST)


def scored(store: Store, queue: SubmissionQueue, **details: Any) -> None:
    """A worker hands a score in, with these details."""
    submission = store.submit(new_submission(block=len(store.recent(limit=100)) + 1))
    claim = queue.claim()
    assert claim is not None
    queue.start_running(claim)
    queue.complete(claim, SCORE, weights_digest="d" * 64, details=details, samples=[], log="")
    result = store.result(submission.id)
    assert result is not None
    assert result.details == {"warnings": []}


def test_a_record_is_kept_once_apart_from_the_scores(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    scored(store, queue, warnings=[])
    assert store.protocol(DIGEST) is None
    for _ in range(2):
        scored(store, queue, warnings=[], protocol=RECORD)
    assert store.protocol(DIGEST) == RECORD
    assert run_sql(dsn, "SELECT count(*) FROM protocols") == [(1,)]


@pytest.mark.parametrize(
    "handed_in", ["{}", RECORD + " ", "x" * 70_000, "", {"code": {}}, None, 7], ids=repr
)
def test_a_record_that_is_not_of_the_scores_protocol_is_dropped(
    handed_in: object, dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    """The score stands: the record only explains it."""
    scored(store, queue, warnings=[], protocol=handed_in)
    assert run_sql(dsn, "SELECT count(*) FROM protocols") == [(0,)]


def test_nobody_can_keep_a_record_under_another_digest(dsn: str) -> None:
    with pytest.raises(psycopg2.errors.CheckViolation):
        run_sql(dsn, "INSERT INTO protocols (digest, record) VALUES (%s, '{}')", DIGEST)


def test_the_api_serves_the_very_bytes_that_have_the_digest(
    dsn: str, store: Store, queue: SubmissionQueue, tmp_path: Path
) -> None:
    scored(store, queue, warnings=[], protocol=RECORD)
    environment = {"POSTGRES_URL": dsn, "VAR_DIR": str(tmp_path), "API_DATABASE_CONNECTIONS": "2"}
    with running_api(environment, tmp_path / "api.log") as api:
        answer = api.client.get(f"/protocols/{DIGEST}")
        assert hashlib.sha256(answer.content).hexdigest() == DIGEST
        assert "immutable" in answer.headers["Cache-Control"]
        unknown = api.client.get(f"/protocols/{'0' * 64}")
        assert unknown.status_code == 404
        assert unknown.json()["error"]["code"] == "PROTOCOL_NOT_KNOWN"
        assert api.client.get("/protocols/none").status_code == 422
