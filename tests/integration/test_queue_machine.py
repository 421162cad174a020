"""The queue as a state machine: whatever several workers do in whatever order, beside a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from queue_helpers import ACTIVE, complete
from service_helpers import fresh_database, new_submission, run_sql

from scoring.contract import FailureCode
from voice_validation_api.database import Database
from voice_validation_api.failures import Action, ServiceCode, decide
from voice_validation_api.records import Claim
from voice_validation_api.status import (
    AttemptOutcome,
    Priority,
    SubmissionStatus,
)
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import LeaseLostError, SubmissionQueue

WORKERS = ("worker-a", "worker-b", "worker-c")
OURS = (ServiceCode.NO_RESULT, ServiceCode.WORKER_LOST, FailureCode.OUT_OF_MEMORY)
THEIRS = (FailureCode.TENSOR_MISMATCH, ServiceCode.REPOSITORY_NOT_FOUND)
EVERY_PRIORITY = list(Priority)


@dataclass
class Row:
    """What the model knows of one submission."""

    block: int
    status: SubmissionStatus = SubmissionStatus.QUEUED
    priority: Priority = Priority.NORMAL
    attempts: int = 0
    fence: int = 0
    expired: bool = False
    outcomes: list[AttemptOutcome | None] = field(default_factory=list)

    def settle(self, outcome: AttemptOutcome, status: SubmissionStatus) -> None:
        self.outcomes[-1] = outcome
        self.status = status
        self.expired = False

    def requeue(self, code: ServiceCode | FailureCode) -> None:
        decision = decide(code, attempts=self.attempts)
        parked = decision.action is Action.PARK
        outcome = AttemptOutcome.PARKED if parked else AttemptOutcome.RETRIED
        self.settle(outcome, SubmissionStatus.QUEUED)
        self.priority = max(self.priority, decision.priority, key=EVERY_PRIORITY.index)


@dataclass(frozen=True)
class Held:
    """A claim as a worker keeps it, long after it may have lost it."""

    worker: str
    claim: Claim


@dataclass(frozen=True)
class Settled:
    """A settlement that was kept, and how to ask for it again."""

    held: Held
    again: Callable[[], object]


class QueueMachine(RuleBasedStateMachine):
    """Three workers, one queue."""

    dsn: str
    database: Database

    claims: Bundle[Held] = Bundle("claims")
    settlements: Bundle[Settled] = Bundle("settlements")

    @initialize()
    def empty(self) -> None:
        run_sql(self.dsn, "TRUNCATE submissions RESTART IDENTITY CASCADE")
        lease = timedelta(minutes=1)
        self.store = Store(self.database)
        self.queues = {
            name: SubmissionQueue(self.database, worker_id=name, lease=lease) for name in WORKERS
        }
        self.model: dict[int, Row] = {}

    @rule(block=st.integers(0, 3))
    def submit(self, block: int) -> None:
        revision = f"{len(self.model):040x}"
        submission = self.store.submit(new_submission(block, revision=revision))
        self.model[submission.id] = Row(block)

    @rule(target=claims, worker=st.sampled_from(WORKERS))
    def claim(self, worker: str) -> object:
        # What waits for a retry has waited long enough.
        run_sql(self.dsn, "UPDATE submissions SET not_before = now() WHERE not_before > now()")
        waiting = [
            (EVERY_PRIORITY.index(row.priority), row.block, number)
            for number, row in self.model.items()
            if row.status is SubmissionStatus.QUEUED and row.priority is not Priority.PARKED
        ]
        claim = self.queues[worker].claim()
        if not waiting:
            assert claim is None
            return multiple()
        assert claim is not None
        *_, first = min(waiting)
        row = self.model[first]
        row.status, row.attempts, row.fence = (
            SubmissionStatus.PRECHECK,
            row.attempts + 1,
            row.fence + 1,
        )
        row.outcomes.append(None)
        assert (claim.submission_id, claim.fence, claim.attempts, claim.worker_id) == (
            first,
            row.fence,
            row.attempts,
            worker,
        )
        return Held(worker, claim)

    @rule(held=claims)
    def beat(self, held: Held) -> None:
        if self._write(held, lambda: self.queues[held.worker].heartbeat(held.claim)):
            self._row(held).expired = False

    @rule(held=claims)
    def start_running(self, held: Held) -> None:
        if self._write(held, lambda: self.queues[held.worker].start_running(held.claim)):
            row = self._row(held)
            row.status, row.expired = SubmissionStatus.RUNNING, False

    @rule(target=settlements, held=claims)
    def complete(self, held: Held) -> object:
        def write() -> None:
            complete(self.queues[held.worker], held.claim)

        if self._is_live(held) and self._row(held).status is SubmissionStatus.PRECHECK:
            with pytest.raises(LeaseLostError):
                write()
            return multiple()
        return self._settle(held, write, AttemptOutcome.COMPLETED)

    @rule(target=settlements, held=claims, code=st.sampled_from(THEIRS))
    def fail(self, held: Held, code: FailureCode | ServiceCode) -> object:
        def write() -> None:
            self.queues[held.worker].fail(held.claim, code, public="no")

        return self._settle(held, write, AttemptOutcome.FAILED, code)

    @rule(target=settlements, held=claims, code=st.sampled_from(OURS))
    def fail_for_an_error_of_ours(self, held: Held, code: FailureCode | ServiceCode) -> object:
        def write() -> None:
            self.queues[held.worker].fail(held.claim, code, public="")

        decision = decide(code, attempts=held.claim.attempts)
        parked = decision.action is Action.PARK
        outcome = AttemptOutcome.PARKED if parked else AttemptOutcome.RETRIED
        return self._settle(held, write, outcome, code)

    @rule(target=settlements, held=claims)
    def hand_back(self, held: Held) -> object:
        def write() -> None:
            self.queues[held.worker].hand_back(held.claim)

        return self._settle(held, write, AttemptOutcome.HANDED_BACK)

    @precondition(lambda self: any(_is_active(row) for row in self.model.values()))
    @rule(data=st.data())
    def let_a_lease_run_out(self, data: st.DataObject) -> None:
        active = [number for number, row in self.model.items() if _is_active(row)]
        number = data.draw(st.sampled_from(active))
        self.model[number].expired = True
        run_sql(
            self.dsn,
            "UPDATE submissions SET lease_expires_at = now() - interval '1 s' WHERE id = %s",
            number,
        )

    @rule(worker=st.sampled_from(WORKERS))
    def recover(self, worker: str) -> None:
        expired = [row for row in self.model.values() if row.expired]
        assert self.queues[worker].recover_expired() == len(expired)
        for row in expired:
            row.requeue(ServiceCode.WORKER_LOST)

    @rule(settled=settlements)
    def settle_again_as_after_a_broken_connection(self, settled: Settled) -> None:
        before = self._rows()
        settled.again()
        assert self._rows() == before

    @rule(held=claims, worker=st.sampled_from(WORKERS))
    def pretend_to_be_another(self, held: Held, worker: str) -> None:
        forged = replace(held.claim, worker_id=f"not {held.claim.worker_id}")
        before = self._rows()
        for write in (
            lambda: self.queues[worker].heartbeat(forged),
            lambda: complete(self.queues[worker], forged),
            lambda: self.queues[worker].hand_back(forged),
        ):
            with pytest.raises(LeaseLostError):
                write()
        assert self._rows() == before

    @rule(held=consumes(claims))
    def forget(self, held: Held) -> None:
        """A worker dies; its lease goes on."""

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        found = run_sql(
            self.dsn,
            """SELECT id, status, priority, attempts, fence,
                   worker_id IS NOT NULL AND lease_expires_at IS NOT NULL
               FROM submissions ORDER BY id""",
        )
        assert found == [
            (n, row.status.value, row.priority.value, row.attempts, row.fence, _is_active(row))
            for n, row in sorted(self.model.items())
        ]

    @invariant()
    def every_attempt_is_kept_and_at_most_the_last_is_open(self) -> None:
        found = run_sql(
            self.dsn, "SELECT submission_id, fence, outcome FROM evaluations ORDER BY 1, 2"
        )
        assert found == [
            (number, fence, outcome and outcome.value)
            for number, row in sorted(self.model.items())
            for fence, outcome in enumerate(row.outcomes, start=1)
        ]
        for row in self.model.values():
            assert all(row.outcomes[:-1])
            assert (row.outcomes[-1:] == [None]) == _is_active(row)

    @invariant()
    def a_score_belongs_to_every_completed_submission_and_to_no_other(self) -> None:
        found = run_sql(self.dsn, "SELECT submission_id FROM results ORDER BY 1")
        assert found == [
            (number,)
            for number, row in sorted(self.model.items())
            if row.status is SubmissionStatus.COMPLETED
        ]

    def _row(self, held: Held) -> Row:
        return self.model[held.claim.submission_id]

    def _is_live(self, held: Held) -> bool:
        row = self._row(held)
        return _is_active(row) and row.fence == held.claim.fence

    def _write(self, held: Held, write: Callable[[], object]) -> bool:
        """Carry out a write that must succeed exactly while the claim lives."""
        if self._is_live(held):
            write()
            return True
        before = self._rows()
        with pytest.raises(LeaseLostError):
            write()
        assert self._rows() == before
        return False

    def _settle(
        self,
        held: Held,
        write: Callable[[], object],
        outcome: AttemptOutcome,
        code: FailureCode | ServiceCode | None = None,
    ) -> object:
        row = self._row(held)
        if not self._is_live(held) and self._ended_so(held, outcome, code):
            write()
            return multiple()
        if not self._write(held, write):
            return multiple()
        if outcome in {AttemptOutcome.RETRIED, AttemptOutcome.PARKED}:
            assert code is not None
            row.requeue(code)
        elif outcome is AttemptOutcome.HANDED_BACK:
            row.settle(outcome, SubmissionStatus.QUEUED)
            row.attempts -= 1
        else:
            row.settle(outcome, SubmissionStatus(outcome.value))
        return Settled(held, write)

    def _ended_so(
        self, held: Held, outcome: AttemptOutcome, code: FailureCode | ServiceCode | None
    ) -> bool:
        """The claim ended just so before: to ask for it again is no mistake."""
        attempts = self.store.attempts(held.claim.submission_id)
        ended = attempts[held.claim.fence - 1]
        return (ended.outcome, ended.failure_code) == (outcome, code and code.name)

    def _rows(self) -> list[object]:
        tables = ("submissions", "evaluations", "results", "samples")
        return [run_sql(self.dsn, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


def _is_active(row: Row) -> bool:
    return row.status in ACTIVE


@pytest.fixture
def machine(server: str, template: str) -> Iterator[type[QueueMachine]]:
    """The machine on a database of its own."""
    with fresh_database(server, template) as dsn:
        database = Database(dsn, size=1, application="machine")
        yield type("Machine", (QueueMachine,), {"dsn": dsn, "database": database})
        database.close()


def test_no_order_of_events_breaks_the_queue(machine: type[QueueMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
