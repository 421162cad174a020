"""What a worker's role in Postgres may do: claim, beat and record through functions, no more."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
from hub_helpers import REPOSITORY_ROOT, running_hub
from psycopg2.extensions import make_dsn, parse_dsn
from queue_helpers import SCORE, complete, expire, sample
from service_helpers import new_submission, run_sql, wait_until

from voice_validation_api.database import Database, RefusedByDatabaseError
from voice_validation_api.failures import ServiceCode
from voice_validation_api.migrations import MigrationError, migrate, migrations
from voice_validation_api.postgres import ensure_postgres
from voice_validation_api.records import Claim
from voice_validation_api.schema_check import may_migrate, wait_for_schema
from voice_validation_api.statements import statements
from voice_validation_api.status import SubmissionStatus
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import LeaseLostError, SubmissionQueue
from voice_validation_api.wakeup import Stop, Wakeup
from voice_validation_api.worker_roles import WorkerRoleError, WorkerRoles

LEASE = timedelta(seconds=60)
OURS = "nspname !~ '^(pg_|information_schema$)'"
GROUP = "speech_worker"


@pytest.fixture
def roles(dsn: str) -> Iterator[WorkerRoles]:
    """The roles of the server; those that a test makes are dropped."""
    roles = WorkerRoles(dsn)
    before = {role.name for role in roles.all()}
    yield roles
    for role in roles.all():
        if role.name not in before:
            roles.drop(role.name)


def made(roles: WorkerRoles) -> str:
    return roles.create(f"worker_{secrets.token_hex(6)}", connections=16)


@pytest.fixture
def role(roles: WorkerRoles) -> str:
    """The connection string of a worker's role on the database of ``dsn``."""
    return made(roles)


@pytest.fixture
def restricted(role: str) -> Iterator[SubmissionQueue]:
    """A worker's side of the queue under a role of its own."""
    with closing(Database(role, size=2, application="tests")) as database:
        yield SubmissionQueue(database, worker_id="worker-a", lease=LEASE)


def claimed(queue: SubmissionQueue) -> Claim:
    claim = queue.claim()
    assert claim is not None
    return claim


def refused(dsn: str, sql: str) -> bool:
    try:
        run_sql(dsn, sql)
    except psycopg2.errors.InsufficientPrivilege:
        return True
    return False


def test_no_table_can_be_read_or_written(dsn: str, role: str) -> None:
    tables = run_sql(
        dsn,
        f"""SELECT quote_ident(nspname) || '.' || quote_ident(relname), relkind,
                (SELECT quote_ident(max(attname)) FROM pg_attribute
                 WHERE attrelid = c.oid AND attnum > 0 AND attidentity = '')
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {OURS}""",
    )
    assert {"public.submissions", "public.evaluations_id_seq"} <= {name for name, _, _ in tables}
    for name, kind, column in tables:
        assert refused(role, f"SELECT * FROM {name}"), name
        if kind != "S":
            assert refused(role, f"SELECT count(*) FROM {name}"), name
            assert refused(role, f"INSERT INTO {name} DEFAULT VALUES"), name
            assert refused(role, f"UPDATE {name} SET {column} = {column}"), name
            assert refused(role, f"DELETE FROM {name}"), name
            assert refused(role, f"TRUNCATE {name}"), name
        else:
            assert refused(role, f"SELECT nextval('{name}')"), name


def test_the_functions_that_workers_use_are_all_that_can_be_called(dsn: str, role: str) -> None:
    used = set(re.findall(r"worker_api\.([a-z_]+)\(", " ".join(statements().values())))
    functions = run_sql(
        dsn,
        f"""SELECT nspname, proname, has_schema_privilege('{GROUP}', n.oid, 'USAGE')
                AND has_function_privilege('{GROUP}', p.oid, 'EXECUTE'),
                has_function_privilege('public', p.oid, 'EXECUTE'), prosecdef, proconfig,
                pg_get_userbyid(proowner)
            FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE {OURS}""",
    )
    assert {name for schema, name, *_ in functions if schema == "worker_api"} == used
    owner = run_sql(dsn, "SELECT current_user")[0][0]
    for schema, name, worker, everyone, definer, config, owned_by in functions:
        assert not everyone, f"{schema}.{name} is everyone's"
        assert (worker, definer) == (schema == "worker_api",) * 2, f"{schema}.{name}"
        assert (config or [None])[0] == ("search_path=public, pg_temp" if definer else None), name
        assert owned_by == owner
    assert refused(role, "SELECT public.lock_claim(1, 1, 'w')")


def test_the_role_has_no_other_way_in(dsn: str, role: str) -> None:
    name = parse_dsn(role)["user"]
    flags = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    assert run_sql(dsn, f"SELECT {flags} FROM pg_roles WHERE rolname = %s", name) == [(False,)]
    for attempt in (
        "CREATE TABLE public.mine (one integer)",
        "CREATE TEMPORARY TABLE submissions (one integer)",
        "CREATE FUNCTION public.lock_claim(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        f"SET ROLE {parse_dsn(dsn)['user']}",
        "SELECT pg_read_file('/etc/hostname')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ):
        assert refused(role, attempt), attempt
    assert run_sql(role, "SELECT passwd IS NULL OR passwd ~ '^[*]+$' FROM pg_user") != []
    assert refused(role, "SELECT * FROM pg_authid")


def test_a_temporary_table_hides_nothing_from_the_functions(
    dsn: str, store: Store, role: str
) -> None:
    submission = store.submit(new_submission())
    name = parse_dsn(dsn)["dbname"]
    run_sql(dsn, f"GRANT TEMPORARY ON DATABASE {name} TO {GROUP}")
    with closing(psycopg2.connect(role)) as session, session.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE submissions (id bigint, status text)")
        cursor.execute("SELECT submission_id FROM worker_api.claim_submission('w', '1 minute')")
        assert cursor.fetchall() == [(submission.id,)]


def test_a_worker_can_do_all_of_its_work(
    dsn: str, store: Store, role: str, restricted: SubmissionQueue
) -> None:
    wakeup = Wakeup(role, Stop())
    wakeup.listen()
    ids = [store.submit(new_submission(block)).id for block in range(5)]
    assert wakeup.wait(timedelta(seconds=20))
    wakeup.close()

    done = claimed(restricted)
    restricted.heartbeat(done)
    restricted.start_running(done)
    complete(restricted, done)
    complete(restricted, done)
    restricted.fail(claimed(restricted), ServiceCode.MODEL_REFUSED, public="too large")
    restricted.fail(claimed(restricted), ServiceCode.HUB_UNREACHABLE, public="")
    restricted.hand_back(claimed(restricted))
    claimed(restricted)
    expire(dsn)
    assert restricted.recover_expired() == 1
    rows = [store.get(number) for number in ids]
    assert [row and (row.status.value, row.failure_code) for row in rows] == [
        ("COMPLETED", None),
        ("FAILED", "MODEL_REFUSED"),
        ("QUEUED", "HUB_UNREACHABLE"),
        ("QUEUED", "WORKER_LOST"),
        ("QUEUED", None),
    ]
    restricted.record_calibration("tts", "hibari", "5" * 64, SCORE)
    assert restricted.calibrated_voices("tts", "5" * 64) == {"hibari": SCORE.protocol}


Write = Callable[[SubmissionQueue, Claim], object]


@pytest.mark.parametrize(
    "write",
    [
        SubmissionQueue.heartbeat,
        SubmissionQueue.start_running,
        complete,
        lambda queue, claim: queue.fail(claim, ServiceCode.MODEL_REFUSED, public="no"),
        lambda queue, claim: queue.fail(claim, ServiceCode.NO_RESULT, public=""),
        SubmissionQueue.hand_back,
    ],
    ids=["heartbeat", "start", "complete", "fail", "retry", "hand back"],
)
def test_a_stolen_password_settles_no_claim_of_another_role(
    store: Store, queue: SubmissionQueue, restricted: SubmissionQueue, write: Write
) -> None:
    submission = store.submit(new_submission())
    # Even if the thief guesses the worker's name and the fence.
    claim = claimed(queue)
    queue.start_running(claim)
    before = store.get(submission.id)
    with pytest.raises(LeaseLostError):
        write(restricted, claim)
    assert store.get(submission.id) == before
    write(queue, claim)


def test_a_live_lease_cannot_be_taken_back(dsn: str, store: Store, role: str) -> None:
    store.submit(new_submission())
    call = "SELECT worker_api.take_back_submission(1, 1, 'PARKED', '0', 'mine', 'now')"
    run_sql(role, "SELECT * FROM worker_api.claim_submission('w', '1 minute')")
    assert run_sql(role, call) == [(False,)]
    expire(dsn)
    assert run_sql(role, call) == [(True,)]


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        ("claim_submission('w', '2 hours')", "a lease lasts"),
        ("claim_submission('w', NULL)", "a lease lasts"),
        ("claim_submission('', '1 minute')", "worker_id"),
        ("extend_lease(1, 1, 'w', '-1 second')", "a lease lasts"),
        ("fail_submission(1, 1, 'w', 3, 'TIME_LIMIT', 'm', 'd', 'l')", "is final"),
        ("fail_submission(1, 1, 'w', 2, 'drop table', 'm', 'd', 'l')", "in capitals"),
        ("fail_submission(1, 1, 'w', 2, 'X', repeat('m', 4001), 'd', 'l')", "failure_message"),
        ("fail_submission(1, 1, 'w', 2, 'X', 'm', repeat('d', 8001), 'l')", "detail"),
        ("fail_submission(1, 1, 'w', 2, 'X', 'm', 'd', repeat('l', 262145))", "log"),
        ("requeue_submission(1, 1, 'w', 'FIRST', '0', 'X', 'm', 'd', 'l')", "FIRST"),
        ("requeue_submission(1, 1, 'w', 'RETRY', '1 year', 'X', 'm', 'd', 'l')", "at most a day"),
        ("record_calibration('tts', '<script>', repeat('5', 64), '{}')", "small letters"),
        ("record_calibration('tts', 'hibari', repeat('5', 64), '{}')", "null value"),
    ],
)
def test_what_a_worker_says_is_checked(store: Store, role: str, call: str, rule: str) -> None:
    submission = store.submit(new_submission())
    if not call.startswith(("claim", "record")):
        run_sql(role, "SELECT * FROM worker_api.claim_submission('w', '1 minute')")
    before = store.get(submission.id)
    with pytest.raises((psycopg2.DataError, psycopg2.IntegrityError), match=rule):
        run_sql(role, f"SELECT worker_api.{call}")
    assert store.get(submission.id) == before


@pytest.mark.parametrize(
    ("score", "changes", "rule"),
    [
        (replace(SCORE, score=1.5), {}, "score"),
        (replace(SCORE, score=float("nan")), {}, "null value"),
        (replace(SCORE, low=0.9, high=0.1), {}, "low <= high|results_check"),
        (replace(SCORE, protocol="mine"), {}, "protocol"),
        (SCORE, {"audio": "7/7/00000.wav"}, "directory of the evaluation"),
        (SCORE, {"audio": "../../etc/passwd"}, "directory of the evaluation"),
        (SCORE, {"text": "x" * 2001}, "text"),
        (SCORE, {"transcript": "x" * 10_001}, "transcript"),
        (SCORE, {"wer": -1.0}, "wer"),
        (SCORE, {"components": {"x": "y" * 2**21}}, "components"),
    ],
)
def test_a_result_is_checked(
    store: Store,
    restricted: SubmissionQueue,
    score: object,
    changes: dict[str, object],
    rule: str,
) -> None:
    submission = store.submit(new_submission())
    claim = claimed(restricted)
    restricted.start_running(claim)
    samples = [replace(sample(), **changes)]  # type: ignore[arg-type]
    with pytest.raises(RefusedByDatabaseError, match=rule):
        restricted.complete(
            claim,
            score,  # type: ignore[arg-type]
            weights_digest=None,
            details={},
            samples=samples,
            log="",
        )
    assert store.result(submission.id) is None
    complete(restricted, claim)


def test_a_role_is_made_rotated_and_dropped(dsn: str, roles: WorkerRoles) -> None:
    made_dsn = made(roles)
    name = parse_dsn(made_dsn)["user"]
    with pytest.raises(WorkerRoleError, match="exists"):
        roles.create(name, connections=1)
    with closing(psycopg2.connect(made_dsn)) as session, session.cursor() as cursor:
        wait_until(lambda: [r.sessions for r in roles.all() if r.name == name] == [1])
        rotated = roles.rotate(name)
        assert parse_dsn(rotated)["password"] != parse_dsn(made_dsn)["password"]
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    verifier = run_sql(dsn, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", name)
    assert str(verifier[0][0]).startswith("SCRAM-SHA-256$")
    roles.drop(name)
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(rotated)
    with pytest.raises(WorkerRoleError, match="no worker's role"):
        roles.drop(name)


@pytest.mark.parametrize("name", ["", "Robert'); DROP TABLE x; --", "ab c", "x" * 64])
def test_a_strange_name_is_no_role(roles: WorkerRoles, name: str) -> None:
    with pytest.raises(WorkerRoleError, match="cannot be a role"):
        roles.create(name, connections=1)


def test_a_role_that_is_no_workers_is_left_alone(dsn: str, roles: WorkerRoles) -> None:
    owner = parse_dsn(dsn)["user"]
    for change in (roles.drop, roles.rotate):
        with pytest.raises(WorkerRoleError, match="no worker's role"):
            change(owner)


def test_a_worker_waits_for_the_schema_and_says_who_makes_it(dsn: str, role: str) -> None:
    assert may_migrate(dsn)
    assert not may_migrate(role)
    wait_for_schema(role, wait_seconds=0)
    newest = len(migrations())
    run_sql(dsn, "DELETE FROM schema_migrations WHERE version = %s", newest)
    with pytest.raises(MigrationError, match="start the API"):
        wait_for_schema(role, wait_seconds=0)
    run_sql(dsn, "INSERT INTO schema_migrations VALUES (%s, 'future', 'x')", newest + 1)
    with pytest.raises(MigrationError, match="upgrade the worker"):
        wait_for_schema(role, wait_seconds=0)
    run_sql(dsn, "DROP SCHEMA worker_api CASCADE")
    with pytest.raises(MigrationError, match="migration 0"):
        wait_for_schema(role, wait_seconds=0)


def test_a_worker_waits_for_the_rights_that_follow_the_schema(
    dsn: str, roles: WorkerRoles, role: str
) -> None:
    run_sql(dsn, f"REVOKE USAGE ON SCHEMA worker_api FROM {GROUP}")
    with pytest.raises(MigrationError, match="no member of speech_worker"):
        wait_for_schema(role, wait_seconds=0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for_schema, role, wait_seconds=30)
        migrate(dsn)
        waiting.result()


def test_other_programs_refuse_a_workers_role(role: str, new_var_dir: Path) -> None:
    with (
        pytest.raises(MigrationError, match="may not change the schema"),
        ensure_postgres(role, new_var_dir),
    ):
        pass


@pytest.mark.skipif("TEST_POSTGRES_URL" in os.environ, reason="changes the roles of the server")
def test_an_owner_who_may_not_create_roles_can_still_migrate(
    server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a managed server, where nobody has made the workers' group yet."""
    name = f"managed_{secrets.token_hex(4)}"
    run_sql(server, f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    run_sql(server, f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0 ENCODING 'UTF8'")
    run_sql(server, f"ALTER ROLE {GROUP} RENAME TO {name}_aside")
    try:
        managed = make_dsn(server, user=name, password="x", dbname=name)
        migrate(managed)
        assert "CREATE ROLE speech_worker NOLOGIN" in caplog.text
        run_sql(server, f"CREATE ROLE {GROUP} NOLOGIN")
        assert migrate(managed) == ()
        call = "has_function_privilege(%s, 'worker_api.schema_version()', 'EXECUTE')"
        assert run_sql(managed, f"SELECT {call}", GROUP) == [(True,)]
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")
        run_sql(server, f"DROP ROLE IF EXISTS {GROUP}")
        run_sql(server, f"ALTER ROLE {name}_aside RENAME TO {GROUP}")
        run_sql(server, f"DROP ROLE {name}")


def test_a_worker_process_works_under_its_role(store: Store, role: str, tmp_path: Path) -> None:
    absent = store.submit(new_submission(revision="ab" * 20))
    with running_hub(tmp_path / "hub") as hub:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
        worker = subprocess.run(
            [sys.executable, "voice_validation_api/worker_queue.py", "--drain"],
            cwd=REPOSITORY_ROOT,
            env={
                **kept,
                "POSTGRES_URL": role,
                "VAR_DIR": str(tmp_path / "var"),
                "HF_ENDPOINT": hub.url,
                "WORKER_LAUNCHER": "process",
                "WORKER_CALIBRATION": "false",
            },
            capture_output=True,
            timeout=120,
            check=False,
        )
    assert worker.returncode == 0, worker.stderr.decode()
    row = store.get(absent.id)
    assert row is not None
    assert (row.status, row.failure_code) == (SubmissionStatus.FAILED, "REPOSITORY_NOT_FOUND")
