"""A backup of a service in use, its loss, and the service afterwards."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import backup
import postgres_clients
import pytest
import restore
from backup_files import AUDIO, DUMP, BackupError, read_manifest
from postgres_clients import ClientError, find_clients
from psycopg2.extensions import make_dsn
from service_helpers import new_submission, run_sql
from service_processes import running_api

from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.records import Claim, Score, StoredSample
from voice_validation_api.status import SubmissionStatus
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue


def finish(queue: SubmissionQueue, claim: Claim, value: float) -> None:
    """Record a score and one sample for a claim."""
    sample = StoredSample(
        prompt_index=0,
        text="Good morning.",
        prompt={},
        outcome="scored",
        reason=None,
        audio=f"{claim.submission_id}/{claim.evaluation_id}/00000.wav",
        seconds=1.0,
        truncated=False,
        transcript="good morning",
        errors=None,
        wer=0.0,
        human_likeness=0.5,
        score=0.5,
        components={},
        audio_digest="d" * 64,
    )
    queue.start_running(claim)
    queue.complete(claim, score(value), weights_digest=None, details={}, samples=[sample], log="")


def score(value: float) -> Score:
    return Score(
        protocol="a" * 64,
        prompts_digest="b" * 64,
        score=value,
        low=value,
        high=value,
        wer=0.1,
        human_likeness=value,
        scored=1,
        unscored=0,
    )


@pytest.fixture(autouse=True)
def _clients(server: str) -> None:
    (version,) = run_sql(server, "SHOW server_version_num")[0]
    try:
        find_clients(int(version) // 10_000)
    except ClientError as error:
        pytest.skip(str(error))


@pytest.fixture
def filled(dsn: str, store: Store, queue: SubmissionQueue) -> str:
    """A database with two scores, a failure, a claim in progress, and one that waits."""
    for block in range(5):
        store.submit(new_submission(block))
    for value in (0.4, 0.6):
        claim = queue.claim()
        assert claim is not None
        finish(queue, claim, value)
    claim = queue.claim()
    assert claim is not None
    queue.fail(claim, ServiceCode.MODEL_REFUSED, public="too large")
    assert queue.claim() is not None
    return dsn


@pytest.fixture
def empty(server: str) -> Iterator[str]:
    name = f"restored_{secrets.token_hex(6)}"
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    yield make_dsn(server, dbname=name)
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def boards(dsn: str, path: Path) -> list[object]:
    """What the public sees of a service on this database."""
    path.mkdir()
    environment = {"POSTGRES_URL": dsn, "VAR_DIR": str(path)}
    with running_api(environment, path / "log") as api:
        pages = ("/leaderboard", "/recent_entries", "/submissions/1")
        return [api.client.get(page).json() for page in pages]


def test_a_service_that_lost_its_database_goes_on_from_the_backup(
    filled: str,
    empty: str,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = boards(filled, tmp_path / "before")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTGRES_URL", filled)
    assert backup.main(["--into", str(tmp_path / "backups")]) == 0
    folder = Path(capsys.readouterr().out.strip())

    (name,) = run_sql(filled, "SELECT current_database()")[0]
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")
    try:
        monkeypatch.setenv("POSTGRES_URL", empty)
        monkeypatch.setenv("AUDIO_STORE", str(tmp_path / "audio"))
        (tmp_path / "audio" / "1" / "1").mkdir(parents=True)
        assert restore.main([str(folder)]) == restore.EXIT_AUDIO
        assert "lacks the clips of 1 attempts: 2/2" in capsys.readouterr().err
        assert boards(empty, tmp_path / "after") == before
        _go_on(empty)
    finally:
        # The fixture of the lost database drops it at the end.
        run_sql(server, f"CREATE DATABASE {name}")


def _go_on(dsn: str) -> None:
    run_sql(dsn, "UPDATE submissions SET lease_expires_at = now() WHERE worker_id IS NOT NULL")
    with closing(Database(dsn, size=2, application="tests")) as database:
        queue = SubmissionQueue(database, worker_id="worker-b", lease=timedelta(seconds=60))
        assert queue.recover_expired() == 1
        while (claim := queue.claim()) is not None:
            finish(queue, claim, 0.9)
        state = Store(database).queue_state()
        assert (state.waiting, state.retrying, state.completed, state.failed) == (0, 0, 4, 1)
        newest = Store(database).submit(new_submission(9))
        assert newest.status is SubmissionStatus.QUEUED


def test_rights_come_back_with_the_rows(filled: str, empty: str, tmp_path: Path) -> None:
    restore.restore_backup(backup.make_backup(filled, tmp_path), empty)
    rights = """
        SELECT p.oid::regprocedure::text, has_function_privilege('speech_worker', p.oid, 'EXECUTE'),
            has_function_privilege('pg_monitor', p.oid, 'EXECUTE')
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('public', 'worker_api') ORDER BY 1
    """
    assert run_sql(empty, rights) == run_sql(filled, rights)
    assert any(worker and not other for _, worker, other in run_sql(empty, rights))


def test_a_backup_lists_the_audio_and_is_closed_to_others(filled: str, tmp_path: Path) -> None:
    folder = backup.make_backup(filled, tmp_path)
    lines = (folder / AUDIO).read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["1/1/00000.wav", "2/2/00000.wav"]
    assert folder.stat().st_mode & 0o077 == 0
    manifest = read_manifest(folder)
    assert manifest.rows["submissions"] == 5
    assert manifest.audio_files == 2


def test_a_database_that_is_not_empty_is_left_alone(filled: str, tmp_path: Path) -> None:
    folder = backup.make_backup(filled, tmp_path)
    with pytest.raises(BackupError, match="not empty"):
        restore.restore_backup(folder, filled)


def test_a_damaged_backup_is_refused(filled: str, empty: str, tmp_path: Path) -> None:
    folder = backup.make_backup(filled, tmp_path)
    dump = folder / DUMP
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)
    with pytest.raises(BackupError, match="checksum"):
        restore.restore_backup(folder, empty)
    shutil.rmtree(folder)
    with pytest.raises(BackupError, match="no backup"):
        restore.restore_backup(folder, empty)


def test_a_backup_of_a_newer_release_is_refused(filled: str, empty: str, tmp_path: Path) -> None:
    run_sql(filled, "INSERT INTO schema_migrations (version, name, sha256) VALUES (999, 'x', 'x')")
    folder = backup.make_backup(filled, tmp_path)
    with pytest.raises(BackupError, match="migration 999"):
        restore.restore_backup(folder, empty)


def test_a_backup_that_fails_leaves_nothing(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_clients, "_folders", lambda: [])
    with pytest.raises(ClientError, match="postgresql-client-"):
        backup.make_backup(filled, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_in_no_command_line() -> None:
    target, environment = postgres_clients.without_password(
        "postgresql://speech:hunter2@db:5432/speech?sslmode=require"
    )
    assert "hunter2" not in target
    assert "sslmode=require" in target
    assert environment == {"PGPASSWORD": "hunter2"}
