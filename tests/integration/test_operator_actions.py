"""What operators may do to submissions, and what is kept about it."""

from __future__ import annotations

import pytest
from service_helpers import new_submission, run_sql

from voice_validation_api.database import Database
from voice_validation_api.failures import MAX_RETRIES, ServiceCode
from voice_validation_api.operator_actions import Choice, OperatorActions
from voice_validation_api.records import Submission
from voice_validation_api.registration import UNPINNED
from voice_validation_api.status import Priority, SubmissionStatus
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

WHO = {"operator": "alice@ops", "reason": "the hub was down"}


@pytest.fixture
def actions(database: Database) -> OperatorActions:
    return OperatorActions(database)


def parked(
    store: Store, queue: SubmissionQueue, dsn: str, code: ServiceCode, block: int = 100
) -> Submission:
    """A submission that failed for an error of ours as often as it takes."""
    submission = store.submit(new_submission(block))
    for _ in range(MAX_RETRIES + 1):
        run_sql(dsn, "UPDATE submissions SET not_before = now()")
        claim = queue.claim()
        assert claim is not None
        assert claim.submission_id == submission.id
        queue.fail(claim, code, public="", detail=f"what {code.name} was about")
    return current(store, submission)


def current(store: Store, submission: Submission) -> Submission:
    found = store.get(submission.id)
    assert found is not None
    return found


def test_a_parked_submission_is_listed_with_what_happened(
    actions: OperatorActions, store: Store, queue: SubmissionQueue, dsn: str
) -> None:
    submission = parked(store, queue, dsn, ServiceCode.TIME_LIMIT)
    (row,) = actions.parked(Choice())
    assert (row.id, row.failure_code) == (submission.id, "TIME_LIMIT")
    assert row.detail == "what TIME_LIMIT was about"
    assert actions.parked(Choice(codes=["NO_RESULT"])) == ()
    assert actions.failed(Choice()) == ()


def test_a_requeued_submission_is_claimed_after_the_others_with_all_its_retries(
    actions: OperatorActions, store: Store, queue: SubmissionQueue, dsn: str
) -> None:
    submission = parked(store, queue, dsn, ServiceCode.TIME_LIMIT)
    later = store.submit(new_submission(200))
    assert actions.requeue(Choice(ids=[submission.id]), **WHO) == (submission.id,)
    now = current(store, submission)
    assert (now.status, now.priority) == (SubmissionStatus.QUEUED, Priority.RETRY)
    assert now.failure_message is None
    first, second = queue.claim(), queue.claim()
    assert first is not None
    assert second is not None
    assert (first.submission_id, second.submission_id) == (later.id, submission.id)
    queue.fail(second, ServiceCode.TIME_LIMIT, public="")
    assert current(store, submission).priority is Priority.RETRY


def test_the_deed_is_on_record_with_what_it_took_away(
    actions: OperatorActions, store: Store, queue: SubmissionQueue, dsn: str
) -> None:
    submission = parked(store, queue, dsn, ServiceCode.TIME_LIMIT)
    actions.requeue(Choice(), **WHO)
    (deed,) = actions.trail()
    assert (deed.submission_id, deed.action) == (submission.id, "REQUEUED")
    assert (deed.operator, deed.reason) == ("alice@ops", "the hub was down")
    assert deed.failure_code == "TIME_LIMIT"
    (attempts,) = run_sql(dsn, "SELECT attempts FROM operator_actions")[0]
    assert attempts == MAX_RETRIES + 1


def test_submissions_are_chosen_by_code(
    actions: OperatorActions, store: Store, queue: SubmissionQueue, dsn: str
) -> None:
    slow = parked(store, queue, dsn, ServiceCode.TIME_LIMIT, 1)
    lost = parked(store, queue, dsn, ServiceCode.HUB_UNREACHABLE, 2)
    assert actions.requeue(Choice(codes=["HUB_UNREACHABLE"]), **WHO) == (lost.id,)
    assert current(store, slow).priority is Priority.PARKED


def test_nothing_but_parked_submissions_is_touched(
    actions: OperatorActions, store: Store, queue: SubmissionQueue
) -> None:
    waiting, running = store.submit(new_submission(2)), store.submit(new_submission(1))
    claim = queue.claim()
    assert claim is not None
    failed = store.record_precheck_failure(new_submission(3), ServiceCode.MODEL_REFUSED, "large")
    before = [current(store, s) for s in (waiting, running, failed)]
    assert actions.requeue(Choice(), **WHO) == ()
    assert [current(store, s) for s in (waiting, running, failed)] == before
    assert actions.trail() == ()


def test_a_wrongly_blamed_submission_is_evaluated_again(
    actions: OperatorActions, store: Store, queue: SubmissionQueue
) -> None:
    submission = store.submit(new_submission())
    claim = queue.claim()
    assert claim is not None
    queue.fail(claim, ServiceCode.REPOSITORY_NOT_FOUND, public="gone")
    assert actions.overturn(submission.id, **WHO)
    again = queue.claim()
    assert again is not None
    assert (again.submission_id, again.attempts) == (submission.id, 1)
    assert again.fence > claim.fence
    (deed,) = actions.trail()
    assert (deed.action, deed.failure_code) == ("OVERTURNED", "REPOSITORY_NOT_FOUND")


def test_only_a_pinned_failure_can_be_overturned(actions: OperatorActions, store: Store) -> None:
    waiting = store.submit(new_submission())
    unpinned = store.record_precheck_failure(
        new_submission(2, revision=UNPINNED), ServiceCode.REPOSITORY_NOT_FOUND, "gone"
    )
    for submission in (waiting, unpinned):
        assert not actions.overturn(submission.id, **WHO)
    assert not actions.overturn(10**9, **WHO)
    assert actions.trail() == ()


def test_a_failure_comes_back_by_the_recorded_way_alone(
    actions: OperatorActions, store: Store, dsn: str
) -> None:
    failed = store.record_precheck_failure(new_submission(), ServiceCode.MODEL_REFUSED, "large")
    queued = "UPDATE submissions SET status = 'QUEUED'"
    with pytest.raises(Exception, match="no transition FAILED -> QUEUED"):
        run_sql(dsn, queued)
    assert actions.overturn(failed.id, **WHO)
    # The old record opens no door later.
    run_sql(dsn, "ALTER TABLE submissions DISABLE TRIGGER submissions_transition")
    run_sql(dsn, "UPDATE submissions SET status = 'FAILED', failure_kind = 2, failure_message = ''")
    run_sql(dsn, "ALTER TABLE submissions ENABLE TRIGGER submissions_transition")
    with pytest.raises(Exception, match="no transition FAILED -> QUEUED"):
        run_sql(dsn, queued)
