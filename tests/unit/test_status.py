"""The states of a submission, by themselves. Postgres's copy: integration/test_store.py."""

from __future__ import annotations

import pytest

from voice_validation_api.status import INITIAL, NO_METADATA, TRANSITIONS, SubmissionStatus

ACTIVE = (SubmissionStatus.PRECHECK, SubmissionStatus.RUNNING)


def test_every_status_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(SubmissionStatus)


def test_only_completed_and_failed_are_final() -> None:
    final = {status for status, after in TRANSITIONS.items() if not after}
    assert final == {SubmissionStatus.COMPLETED, SubmissionStatus.FAILED}


def test_every_status_can_be_reached() -> None:
    reached = set(INITIAL)
    for _ in SubmissionStatus:
        reached |= {after for status in reached for after in TRANSITIONS[status]}
    assert reached == set(SubmissionStatus)


@pytest.mark.parametrize("status", ACTIVE)
def test_active_submissions_can_return_to_the_queue(status: SubmissionStatus) -> None:
    assert SubmissionStatus.QUEUED in TRANSITIONS[status]


def test_only_an_evaluation_that_ran_can_complete() -> None:
    before = {s for s, after in TRANSITIONS.items() if SubmissionStatus.COMPLETED in after}
    assert before == {SubmissionStatus.RUNNING}


def test_an_absent_model_is_an_answer_and_no_status() -> None:
    assert NO_METADATA not in {status.value for status in SubmissionStatus}
