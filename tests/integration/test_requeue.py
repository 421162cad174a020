"""The operator's command for parked and failed submissions."""

from __future__ import annotations

from pathlib import Path

import pytest
import requeue
from service_helpers import new_submission, run_sql

from voice_validation_api.failures import ServiceCode
from voice_validation_api.records import Submission
from voice_validation_api.status import Priority, SubmissionStatus
from voice_validation_api.store import Store


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, dsn: str, tmp_path: Path) -> None:
    monkeypatch.setenv("POSTGRES_URL", dsn)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def parked(store: Store, dsn: str) -> Submission:
    submission = store.submit(new_submission())
    run_sql(dsn, "UPDATE submissions SET priority = 'PARKED', failure_code = 'NO_RESULT'")
    return submission


def priority(store: Store, submission: Submission) -> Priority:
    found = store.get(submission.id)
    assert found is not None
    return found.priority


def test_without_arguments_it_lists_and_changes_nothing(
    store: Store, parked: Submission, capsys: pytest.CaptureFixture[str]
) -> None:
    assert requeue.main([]) == 0
    assert "alice/voice@abababab" in capsys.readouterr().out
    assert priority(store, parked) is Priority.PARKED


def test_a_dry_run_says_what_would_be_done(
    store: Store, parked: Submission, capsys: pytest.CaptureFixture[str]
) -> None:
    assert requeue.main(["--all", "--dry-run"]) == 0
    assert "Would be returned to the queue: 1" in capsys.readouterr().out
    assert priority(store, parked) is Priority.PARKED


@pytest.mark.parametrize("choice", [["--all"], ["--code", "NO_RESULT"], ["--id", "1"]])
def test_what_was_chosen_returns_to_the_queue(
    store: Store, parked: Submission, choice: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert parked.id == 1
    assert requeue.main([*choice, "--operator", "alice"]) == 0
    assert "returned to the queue: 1" in capsys.readouterr().out
    assert priority(store, parked) is Priority.RETRY
    assert requeue.main(["--trail"]) == 0
    assert "alice" in capsys.readouterr().out


def test_what_cannot_be_returned_is_named(
    parked: Submission, capsys: pytest.CaptureFixture[str]
) -> None:
    assert requeue.main(["--id", str(parked.id), "--id", "999"]) == 1
    assert "submission 999: not parked" in capsys.readouterr().out


def test_overturning_needs_a_failure_and_a_reason(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = store.record_precheck_failure(new_submission(), ServiceCode.MODEL_REFUSED, "large")
    with pytest.raises(SystemExit) as stopped:
        requeue.main(["--overturn", str(failed.id)])
    assert stopped.value.code == 2
    arguments = ["--overturn", str(failed.id), "--reason", "counted twice"]
    assert requeue.main([*arguments, "--dry-run"]) == 0
    assert requeue.main(arguments) == 0
    again = store.get(failed.id)
    assert again is not None
    assert again.status is SubmissionStatus.QUEUED
    assert requeue.main(arguments) == 1


def test_a_database_that_cannot_be_used_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://speech:hunter2@127.0.0.1:1/speech")
    monkeypatch.setenv("POSTGRES_WAIT_SECONDS", "0")
    assert requeue.main([]) == 3
    error = capsys.readouterr().err
    assert "no usable database" in error
    assert "hunter2" not in error
