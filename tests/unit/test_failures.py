"""Whose fault a failure is and what follows from it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.contract import FailureCode
from voice_validation_api.failures import (
    MAX_MESSAGE_CHARS,
    MAX_RETRIES,
    Action,
    AnyCode,
    FailureKind,
    ServiceCode,
    decide,
    kind_of,
    miner_message,
)
from voice_validation_api.status import Priority

CODES: list[AnyCode] = [*FailureCode, *ServiceCode]
codes = st.sampled_from(CODES)
ours = codes.filter(lambda code: kind_of(code).is_ours)
attempt_numbers = st.integers(1, 20)


def test_codes_and_names_of_the_evaluator_and_the_service_do_not_overlap() -> None:
    assert len({int(code) for code in CODES}) == len({code.name for code in CODES}) == len(CODES)


@pytest.mark.parametrize("code", list(FailureCode))
def test_faults_of_the_contract_are_kept(code: FailureCode) -> None:
    assert (kind_of(code) is FailureKind.MODEL) == (code.fault == "submission")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (FailureCode.BAD_REQUEST, FailureKind.WORKER),
        (FailureCode.WEIGHTS_UNREADABLE, FailureKind.MODEL),
        (FailureCode.OUT_OF_MEMORY, FailureKind.WORKER),
        (ServiceCode.REVISION_NOT_FOUND, FailureKind.REPOSITORY),
        (ServiceCode.REPOSITORY_NOT_PUBLIC, FailureKind.REPOSITORY),
        (ServiceCode.HUB_UNREACHABLE, FailureKind.WORKER),
        (ServiceCode.TIME_LIMIT, FailureKind.WORKER),
        (ServiceCode.WORKER_LOST, FailureKind.WORKER),
    ],
)
def test_kinds_that_miners_are_told(code: AnyCode, kind: FailureKind) -> None:
    assert kind_of(code) is kind


@given(code=codes, attempts=attempt_numbers)
def test_only_a_fault_of_the_submission_fails_it(code: AnyCode, attempts: int) -> None:
    failed = decide(code, attempts=attempts).action is Action.FAIL
    assert failed == (kind_of(code) in {FailureKind.REPOSITORY, FailureKind.MODEL})


@given(code=ours, attempts=attempt_numbers)
def test_errors_of_ours_are_retried_three_times_and_then_parked(
    code: AnyCode, attempts: int
) -> None:
    decision = decide(code, attempts=attempts)
    assert (decision.action is Action.PARK) == (attempts > MAX_RETRIES)
    assert (decision.priority is Priority.PARKED) == (decision.action is Action.PARK)


@given(code=ours, attempts=st.integers(1, MAX_RETRIES))
def test_a_retry_runs_after_all_others_and_ever_later(code: AnyCode, attempts: int) -> None:
    decision = decide(code, attempts=attempts)
    if code is ServiceCode.WORKER_LOST and attempts == 1:
        assert decision.priority is Priority.NORMAL
        assert decision.delay == timedelta(0)
    else:
        assert decision.priority is Priority.RETRY
        assert decision.delay >= timedelta(minutes=1)
        if attempts > 1:
            assert decision.delay >= decide(code, attempts=attempts - 1).delay


def test_attempts_include_the_failed_one() -> None:
    with pytest.raises(ValueError, match="attempts"):
        decide(ServiceCode.NO_RESULT, attempts=0)


@given(code=codes, detail=st.text(max_size=5_000), attempts=attempt_numbers)
def test_what_the_miner_reads_begins_with_the_kind(
    code: AnyCode, detail: str, attempts: int
) -> None:
    message = miner_message(code, detail, attempts=attempts)
    assert message.startswith(f"({kind_of(code).value}) ")
    assert len(message) <= MAX_MESSAGE_CHARS


@given(code=codes, attempts=attempt_numbers)
def test_details_of_our_errors_stay_with_us(code: AnyCode, attempts: int) -> None:
    shown = "ZEBRA" in miner_message(code, "ZEBRA", attempts=attempts)
    assert shown == (not kind_of(code).is_ours)
