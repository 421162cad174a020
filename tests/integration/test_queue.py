"""The queue on a real Postgres: who gets what, who may write, and what a lost worker costs."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from queue_helpers import complete, expire, insert_waiting
from service_helpers import new_submission, run_sql, wait_until

from scoring.contract import FailureCode
from voice_validation_api.database import Database, DatabaseUnavailableError
from voice_validation_api.failures import MAX_RETRIES, ServiceCode
from voice_validation_api.records import Claim, Submission, SubmissionId
from voice_validation_api.status import AttemptOutcome, Priority, SubmissionStatus
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import LeaseLostError, SubmissionQueue
from voice_validation_api.wakeup import Stop, Wakeup

LEASE = timedelta(seconds=60)


def claimed(queue: SubmissionQueue) -> Claim:
    claim = queue.claim()
    assert claim is not None
    return claim


def current(store: Store, submission_id: SubmissionId) -> Submission:
    submission = store.get(submission_id)
    assert submission is not None
    return submission


def dump(dsn: str) -> list[object]:
    tables = ("submissions", "evaluations", "results", "samples")
    return [run_sql(dsn, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


@pytest.fixture
def rival(database: Database) -> SubmissionQueue:
    """Another worker on the same queue."""
    return SubmissionQueue(database, worker_id="worker-b", lease=LEASE)


def test_an_empty_queue_has_nothing_to_claim(queue: SubmissionQueue) -> None:
    assert queue.claim() is None


def test_a_submission_goes_through_its_states(store: Store, queue: SubmissionQueue) -> None:
    submission = store.submit(new_submission())
    claim = claimed(queue)
    assert current(store, submission.id).status is SubmissionStatus.PRECHECK
    queue.start_running(claim)
    assert current(store, submission.id).status is SubmissionStatus.RUNNING
    complete(queue, claim)
    done = current(store, submission.id)
    assert done.status is SubmissionStatus.COMPLETED
    assert (done.worker_id, done.lease_expires_at, done.attempts) == (None, None, 1)
    assert queue.claim() is None


def claim_all(dsn: str, worker: int) -> list[int]:
    """Claim and complete until nothing is left; the ids in order."""
    database = Database(dsn, size=1, application="racer")
    queue = SubmissionQueue(database, worker_id=f"racer-{worker}", lease=LEASE)
    ids = []
    while (claim := queue.claim()) is not None:
        queue.start_running(claim)
        complete(queue, claim)
        ids.append(claim.submission_id)
    database.close()
    return ids


def test_8_workers_racing_over_1000_rows_claim_each_once(dsn: str, store: Store) -> None:
    insert_waiting(dsn, 1000)
    with ProcessPoolExecutor(8, mp_context=multiprocessing.get_context("spawn")) as pool:
        claims = [f.result() for f in [pool.submit(claim_all, dsn, n) for n in range(8)]]
    ids = [i for claim in claims for i in claim]
    assert len(ids) == len(set(ids)) == 1000
    assert run_sql(dsn, "SELECT count(*), count(DISTINCT submission_id) FROM results") == [
        (1000, 1000)
    ]
    assert run_sql(dsn, "SELECT DISTINCT outcome, count(*) FROM evaluations GROUP BY 1") == [
        ("COMPLETED", 1000)
    ]
    assert sum(1 for claim in claims if claim) > 1, "one worker took everything: no race"
    assert store.queue_state().completed == 1000


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(list(Priority))), min_size=1, max_size=12
    )
)
def test_claims_come_normal_before_retry_then_by_block_then_by_id(
    dsn: str, queue: SubmissionQueue, rows: list[tuple[int, Priority]]
) -> None:
    run_sql(dsn, "TRUNCATE submissions RESTART IDENTITY CASCADE")
    for number, (block, priority) in enumerate(rows):
        run_sql(
            dsn,
            """INSERT INTO submissions (competition_id, hotkey, block, revision, namespace, name,
                config_template, submission_hash, status, priority)
                VALUES ('tts', 'h', %s, %s, 'n', 'n', 'c', '1', 'QUEUED', %s)""",
            block,
            str(number),
            priority.value,
        )
    order = []
    while (claim := queue.claim()) is not None:
        order.append(int(claim.revision))
    classes = list(Priority)
    expected = sorted(
        (n for n, (_, priority) in enumerate(rows) if priority is not Priority.PARKED),
        key=lambda n: (classes.index(rows[n][1]), rows[n][0], n),
    )
    assert order == expected


def test_a_claim_stays_cheap_in_a_session_that_began_with_an_empty_queue(
    dsn: str, store: Store
) -> None:
    # No statistics may come to the rescue: the plan of the first claims is the one that is kept.
    run_sql(dsn, "ALTER TABLE submissions SET (autovacuum_enabled = off)")
    with closing(Database(dsn, size=1, application="early")) as early:
        queue = SubmissionQueue(early, worker_id="early", lease=LEASE)
        for _ in range(10):
            assert queue.claim() is None
        insert_waiting(dsn, 2000)
        for _ in range(20):
            claimed(queue)
    read = """SELECT sum(idx_tup_read)::integer FROM pg_stat_user_indexes
        WHERE relname = 'submissions'"""
    wait_until(lambda: int(run_sql(dsn, read)[0][0]) >= 20)
    assert int(run_sql(dsn, read)[0][0]) < 20 * 100
    scanned = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'submissions'"
    assert run_sql(dsn, scanned) == [(0,)]


def test_a_failure_of_the_submission_is_final(store: Store, queue: SubmissionQueue) -> None:
    submission = store.submit(new_submission())
    queue.fail(claimed(queue), FailureCode.TENSOR_MISMATCH, public="lm_heads is missing")
    failed = current(store, submission.id)
    assert failed.status is SubmissionStatus.FAILED
    assert failed.failure_kind == 2
    assert failed.failure_message is not None
    assert "lm_heads is missing" in failed.failure_message
    assert queue.claim() is None


def test_errors_of_ours_are_retried_after_all_others_and_then_parked(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    unlucky = store.submit(new_submission(1))
    for attempt in range(1, MAX_RETRIES + 2):
        if attempt > 1:
            assert queue.claim() is None, "the retry waits for its time"
            run_sql(dsn, "UPDATE submissions SET not_before = now()")
            other = store.submit(new_submission(100 + attempt))
            assert claimed(queue).submission_id == other.id, "others go first"
        claim = claimed(queue)
        assert (claim.submission_id, claim.attempts) == (unlucky.id, attempt)
        queue.fail(claim, ServiceCode.NO_RESULT, public="", detail="killed by signal 9")
        row = current(store, unlucky.id)
        assert row.status is SubmissionStatus.QUEUED
        assert row.failure_kind == 3
    assert row.priority is Priority.PARKED
    run_sql(dsn, "UPDATE submissions SET not_before = now()")
    assert queue.claim() is None
    assert store.queue_state().parked == 1
    attempts = store.attempts(unlucky.id)
    assert [a.outcome for a in attempts] == [AttemptOutcome.RETRIED] * 3 + [AttemptOutcome.PARKED]
    assert {a.detail for a in attempts} == {"killed by signal 9"}


def test_a_lost_worker_costs_its_submission_one_lease_time(
    dsn: str, store: Store, queue: SubmissionQueue, rival: SubmissionQueue
) -> None:
    first, _ = store.submit(new_submission(1)), store.submit(new_submission(2))
    lost = claimed(queue)
    assert rival.recover_expired() == 0, "the lease still holds"
    expire(dsn)
    assert rival.recover_expired() == 1
    again = claimed(rival)
    assert again.submission_id == lost.submission_id == first.id, "it kept its place"
    assert again.fence > lost.fence
    assert [a.outcome for a in store.attempts(first.id)] == [AttemptOutcome.RETRIED, None]


def test_a_submission_that_takes_down_every_worker_is_parked(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    submission = store.submit(new_submission())
    for _ in range(MAX_RETRIES + 1):
        run_sql(dsn, "UPDATE submissions SET not_before = now()")
        claimed(queue)
        expire(dsn)
        assert queue.recover_expired() == 1
    row = current(store, submission.id)
    assert (row.status, row.priority) == (SubmissionStatus.QUEUED, Priority.PARKED)
    assert row.failure_code == "WORKER_LOST"


Write = Callable[[SubmissionQueue, Claim], object]


@pytest.mark.parametrize(
    "write",
    [
        SubmissionQueue.heartbeat,
        SubmissionQueue.start_running,
        complete,
        lambda queue, claim: queue.fail(claim, FailureCode.NUMERIC_FAILURE, public="NaN"),
        lambda queue, claim: queue.fail(claim, ServiceCode.TIME_LIMIT, public=""),
        SubmissionQueue.hand_back,
    ],
    ids=["heartbeat", "start", "complete", "fail", "retry", "hand back"],
)
@pytest.mark.parametrize("then", ["queued", "running elsewhere", "completed elsewhere"])
def test_a_worker_that_lost_its_lease_cannot_write(
    dsn: str,
    store: Store,
    queue: SubmissionQueue,
    rival: SubmissionQueue,
    write: Write,
    then: str,
) -> None:
    store.submit(new_submission())
    stale = claimed(queue)
    queue.start_running(stale)
    expire(dsn)
    rival.recover_expired()
    if then != "queued":
        held = claimed(rival)
        rival.start_running(held)
        if then == "completed elsewhere":
            complete(rival, held)
    before = dump(dsn)
    with pytest.raises(LeaseLostError):
        write(queue, stale)
    assert dump(dsn) == before


def test_a_result_needs_a_running_evaluation(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    store.submit(new_submission())
    claim = claimed(queue)
    before = dump(dsn)
    with pytest.raises(LeaseLostError):
        complete(queue, claim)
    assert dump(dsn) == before


def test_an_expired_lease_that_nobody_took_back_goes_on(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    store.submit(new_submission())
    claim = claimed(queue)
    expire(dsn)
    queue.heartbeat(claim)
    assert queue.recover_expired() == 0
    queue.start_running(claim)
    complete(queue, claim)


def test_settling_again_after_a_broken_connection_changes_nothing(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    store.submit(new_submission(1))
    claim = claimed(queue)
    queue.start_running(claim)
    queue.start_running(claim)
    complete(queue, claim)
    before = dump(dsn)
    complete(queue, claim)
    assert dump(dsn) == before


def test_handing_back_keeps_the_place_and_does_not_count(
    store: Store, queue: SubmissionQueue, rival: SubmissionQueue
) -> None:
    first, _ = store.submit(new_submission(1)), store.submit(new_submission(2))
    claim = claimed(queue)
    queue.start_running(claim)
    queue.hand_back(claim)
    row = current(store, first.id)
    assert (row.status, row.priority, row.attempts) == (
        SubmissionStatus.QUEUED,
        Priority.NORMAL,
        0,
    )
    assert claimed(rival).submission_id == first.id


def test_postgres_refuses_a_second_active_evaluation(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    store.submit(new_submission())
    claimed(queue)
    with pytest.raises(psycopg2.errors.UniqueViolation, match="one_active"):
        run_sql(
            dsn,
            "INSERT INTO evaluations (submission_id, fence, worker_id)"
            " SELECT submission_id, fence + 1, 'other' FROM evaluations",
        )


def test_a_long_log_keeps_its_end(store: Store, queue: SubmissionQueue) -> None:
    submission = store.submit(new_submission())
    claim = claimed(queue)
    queue.fail(claim, ServiceCode.NO_RESULT, public="", log="x" * 10**6 + "the end")
    log = store.attempts(submission.id)[0].log
    assert log is not None
    assert len(log) < 10**5
    assert log.endswith("the end")


def terminate_all(dsn: str) -> None:
    """End every other session on the database, and wait until they are gone."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    run_sql(dsn, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    wait_until(lambda: run_sql(dsn, f"SELECT pid FROM pg_stat_activity WHERE {others}") == [])


@pytest.fixture
def wakeup(dsn: str) -> Wakeup:
    """A listening worker."""
    wakeup = Wakeup(dsn, Stop())
    wakeup.listen()
    return wakeup


def test_a_queued_submission_wakes_a_waiting_worker(store: Store, wakeup: Wakeup) -> None:
    store.submit(new_submission())
    assert wakeup.wait(timedelta(seconds=20))
    assert not wakeup.wait(timedelta(0)), "once per submission"


def test_a_handed_back_submission_wakes_a_waiting_worker(
    store: Store, queue: SubmissionQueue, wakeup: Wakeup
) -> None:
    store.submit(new_submission())
    assert wakeup.wait(timedelta(seconds=20))
    claim = claimed(queue)
    assert not wakeup.wait(timedelta(0))
    queue.hand_back(claim)
    assert wakeup.wait(timedelta(seconds=20))


def test_a_stop_ends_the_waiting_at_once(dsn: str) -> None:
    stop = Stop()
    wakeup = Wakeup(dsn, stop)
    wakeup.listen()
    stop.set()
    started = time.monotonic()
    assert not wakeup.wait(timedelta(seconds=60))
    assert time.monotonic() - started < 5


def test_a_lost_connection_turns_waiting_into_polling(dsn: str, wakeup: Wakeup) -> None:
    terminate_all(dsn)
    assert not wakeup.wait(timedelta(seconds=20))
    assert not wakeup.wait(timedelta(0))
    wakeup.listen()
    run_sql(dsn, "NOTIFY submission_queued")
    assert wakeup.wait(timedelta(seconds=20))


def test_a_pool_survives_the_end_of_all_its_connections(
    dsn: str, store: Store, queue: SubmissionQueue
) -> None:
    store.submit(new_submission())
    terminate_all(dsn)
    assert store.queue_state().waiting == 1
    terminate_all(dsn)
    assert queue.claim() is not None


def test_a_transaction_that_loses_its_connection_keeps_nothing(
    dsn: str, database: Database, store: Store, queue: SubmissionQueue
) -> None:
    store.submit(new_submission())
    with pytest.raises(DatabaseUnavailableError), database.transaction() as transaction:
        params = {"worker_id": "w", "lease": LEASE}
        assert transaction.fetch_one(Claim, "claim_submission", params) is not None
        terminate_all(dsn)
        transaction.fetch_one(Claim, "claim_submission", params)
    assert queue.claim() is not None


def test_a_malformed_connection_string_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="malformed") as caught:
        Database("postgres//user:secret@host/db", size=1, application="tests")
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None
