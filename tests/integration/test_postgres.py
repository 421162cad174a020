"""The embedded server's life, other servers, and migrations."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn
from service_helpers import new_submission, run_sql, wait_until

from voice_validation_api import migrations, postgres, postgres_place
from voice_validation_api.database import Database, DatabaseUnavailableError
from voice_validation_api.migrations import Migration, MigrationError, migrate
from voice_validation_api.postgres import UnsuitableDatabaseError, ensure_postgres
from voice_validation_api.postgres_place import PostgresServerError, locate
from voice_validation_api.store import Store

PR_SET_CHILD_SUBREAPER = 36

USER_PROGRAM = """
import sys
from pathlib import Path
from voice_validation_api.postgres import ensure_postgres
with ensure_postgres(None, Path(sys.argv[1])) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""


def start_user(var_dir: Path) -> subprocess.Popen[str]:
    """Another program that uses the embedded server until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER_PROGRAM, str(var_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(("host=", "user=", "dbname="))
    return process


def answers(var_dir: Path) -> bool:
    try:
        psycopg2.connect(locate(var_dir).dsn()).close()
    except psycopg2.OperationalError:
        return False
    return True


def postmaster(var_dir: Path) -> int:
    return int((locate(var_dir).data / "postmaster.pid").read_text().split()[0])


def test_a_second_program_joins_and_the_last_one_stops_the_server(var_dir: Path) -> None:
    other = start_user(var_dir)
    with ensure_postgres(None, var_dir) as dsn:
        run_sql(dsn, "CREATE TABLE kept AS SELECT 1 AS one")
        other.communicate()
        assert answers(var_dir), "one program still uses it"
    assert not answers(var_dir)
    with ensure_postgres(None, var_dir) as dsn:
        assert run_sql(dsn, "SELECT one FROM kept") == [(1,)]


def test_programs_starting_together_share_one_server(var_dir: Path) -> None:
    def pid(_: int) -> int:
        with ensure_postgres(None, var_dir) as dsn:
            wait_until(lambda: answers(var_dir))
            assert run_sql(dsn, "SELECT count(*) FROM submissions") == [(0,)]
            return postmaster(var_dir)

    with ensure_postgres(None, var_dir), ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(pid, range(8)))) == 1
    assert not answers(var_dir)


def test_a_killed_program_leaves_the_server_to_the_next(var_dir: Path) -> None:
    other = start_user(var_dir)
    other.kill()
    other.communicate()
    assert answers(var_dir), "nobody was there to stop it"
    pid = postmaster(var_dir)
    with ensure_postgres(None, var_dir):
        assert postmaster(var_dir) == pid
    assert not answers(var_dir)


def test_a_killed_server_comes_back_with_its_rows_while_programs_use_it(var_dir: Path) -> None:
    with ensure_postgres(None, var_dir) as dsn:
        database = Database(dsn, size=2, application="tests")
        store = Store(database)
        submission = store.submit(new_submission())
        os.kill(postmaster(var_dir), signal.SIGKILL)
        wait_until(lambda: not answers(var_dir))
        with pytest.raises(DatabaseUnavailableError):
            store.ping()
        with ensure_postgres(None, var_dir):
            assert store.get(submission.id) == submission
        assert store.get(submission.id) == submission, "entering again did not take it over"
        database.close()


def test_a_killed_server_that_stays_a_zombie_is_no_obstacle(var_dir: Path) -> None:
    # As in a container whose first process does not wait for orphans: here they become ours.
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        with ensure_postgres(None, var_dir):
            killed = postmaster(var_dir)
            os.kill(killed, signal.SIGKILL)
            state = Path(f"/proc/{killed}/stat")
            wait_until(lambda: ") Z " in state.read_text())
            with ensure_postgres(None, var_dir):
                assert answers(var_dir)
                assert postmaster(var_dir) != killed
            assert ") Z " in state.read_text(), "it was no zombie during the test"
        os.waitpid(killed, 0)
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def test_a_process_number_that_was_given_to_another_program_is_no_obstacle(var_dir: Path) -> None:
    with ensure_postgres(None, var_dir):
        pass
    lock = locate(var_dir).data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n")
    with ensure_postgres(None, var_dir):
        assert answers(var_dir)


def test_an_interrupted_initdb_is_done_again(new_var_dir: Path) -> None:
    half_made = locate(new_var_dir).home / "data.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18")
    with ensure_postgres(None, new_var_dir):
        assert answers(new_var_dir)


def test_data_of_another_major_version_is_refused(new_var_dir: Path) -> None:
    data = locate(new_var_dir).data
    data.mkdir()
    (data / "PG_VERSION").write_text("13\n")
    with (
        pytest.raises(PostgresServerError, match="made by Postgres 13"),
        ensure_postgres(None, new_var_dir),
    ):
        pass
    assert (data / "PG_VERSION").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")
def test_data_moves_where_the_account_can_enter(new_var_dir: Path) -> None:
    closed = new_var_dir / "closed"
    closed.mkdir(mode=0o700)
    cluster = locate(closed)
    try:
        assert not cluster.home.is_relative_to(new_var_dir)
        with ensure_postgres(None, closed):
            assert answers(closed)
    finally:
        shutil.rmtree(cluster.home)


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    link = tmp_path / "link"
    link.symlink_to("target")
    with pytest.raises(PostgresServerError, match="somebody else"):
        postgres_place.own_directory(link, None, mode=0o700)


def test_a_named_server_is_used_and_migrated(server: str, new_var_dir: Path) -> None:
    run_sql(server, "CREATE DATABASE named TEMPLATE template0 ENCODING 'UTF8'")
    try:
        named = make_dsn(server, dbname="named")
        with ensure_postgres(named, new_var_dir) as dsn:
            assert dsn == named
            assert run_sql(dsn, "SELECT count(*) FROM submissions") == [(0,)]
        assert list(new_var_dir.iterdir()) == [], "nothing embedded was started"
    finally:
        run_sql(server, "DROP DATABASE named WITH (FORCE)")


def test_a_named_server_that_is_down_gives_up_with_its_name(new_var_dir: Path) -> None:
    with (
        pytest.raises(DatabaseUnavailableError, match=r"gave up after 1 s.*POSTGRES_URL"),
        ensure_postgres("host=/nowhere user=x dbname=x", new_var_dir, wait_seconds=1),
    ):
        pass


def test_a_named_server_that_is_too_old_is_refused(
    dsn: str, new_var_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "MIN_VERSION", 99)
    with (
        pytest.raises(UnsuitableDatabaseError, match="at least 99"),
        ensure_postgres(dsn, new_var_dir),
    ):
        pass


def test_a_database_that_cannot_hold_every_text_is_refused(server: str, new_var_dir: Path) -> None:
    run_sql(server, "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        latin = make_dsn(server, dbname="latin")
        with (
            pytest.raises(UnsuitableDatabaseError, match="LATIN1"),
            ensure_postgres(latin, new_var_dir),
        ):
            pass
    finally:
        run_sql(server, "DROP DATABASE latin WITH (FORCE)")


@pytest.fixture
def empty(server: str) -> Iterator[str]:
    """A database without our schema."""
    run_sql(server, "CREATE DATABASE empty TEMPLATE template0 ENCODING 'UTF8'")
    yield make_dsn(server, dbname="empty")
    run_sql(server, "DROP DATABASE empty WITH (FORCE)")


def test_programs_starting_together_migrate_once(empty: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        applied = [m for done in pool.map(migrate, [empty] * 8) for m in done]
    assert tuple(applied) == migrations.migrations()
    assert migrate(empty) == ()


def test_a_migration_that_changed_after_it_was_applied_is_refused(dsn: str) -> None:
    run_sql(dsn, "UPDATE schema_migrations SET sha256 = 'other' WHERE version = 1")
    with pytest.raises(MigrationError, match=r"0001_submissions\.sql differs"):
        migrate(dsn)


def test_a_database_of_a_newer_release_is_refused(dsn: str) -> None:
    run_sql(dsn, "INSERT INTO schema_migrations VALUES (999, 'future', 'x')")
    with pytest.raises(MigrationError, match="newer release"):
        migrate(dsn)


def test_a_migration_that_breaks_off_leaves_nothing(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = migrations.migrations()
    broken = Migration(len(known) + 1, "broken.sql", "CREATE TABLE half (); SELECT 1/0")
    monkeypatch.setattr(migrations, "migrations", lambda: (*known, broken))
    with pytest.raises(psycopg2.errors.DivisionByZero):
        migrate(dsn)
    assert run_sql(dsn, "SELECT to_regclass('half')") == [(None,)]
    assert run_sql(dsn, "SELECT max(version) FROM schema_migrations") == [(len(known),)]
