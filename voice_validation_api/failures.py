"""Whose fault a failure is, what the miner reads, and what happens to the submission. Pure.

Every failure has a code whose hundreds name its party: the evaluator's codes are 1xx to 3xx
(``scoring.contract.FailureCode``), the service's own continue with 4xx to 6xx. Everything else
follows from the code and the number of attempts:

====  ==========================================  ====================  =========================
kind  what                                        codes                 then
====  ==========================================  ====================  =========================
1     repository not public or not reachable      4xx                   final
2     model cannot be loaded or run               2xx, 5xx              final
3     error in our worker                         1xx, 3xx, 6xx         retried, then parked
====  ==========================================  ====================  =========================

An error of ours never fails a submission: after ``MAX_RETRIES`` retries it is parked in the queue
for an operator to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, IntEnum
from typing import Final

from scoring.contract import FailureCode
from voice_validation_api.status import Priority

MAX_RETRIES: Final = 3
RETRY_DELAY: Final = timedelta(minutes=1)
"""Wait before the first retry; doubled for each further one, so that a hub or a disk can recover
while nothing else is queued."""
MAX_MESSAGE_CHARS: Final = 4_000


class ServiceCode(IntEnum):
    """Failures that the service itself finds; the evaluator's are in ``FailureCode``."""

    REPOSITORY_NOT_FOUND = 400
    REPOSITORY_NOT_PUBLIC = 401
    REVISION_NOT_FOUND = 402

    MODEL_REFUSED = 500
    """The repository breaks a rule that is checked before any model is loaded."""

    HUB_UNREACHABLE = 600
    """The hub did not answer, or not sensibly. It says nothing about the repository."""
    WORKER_LOST = 601
    """The lease ran out: the worker died, hung, or lost its database."""
    TIME_LIMIT = 602
    """The evaluator was stopped at its wall-clock limit. The evaluator caps the model's size and
    the audio per prompt, so what is left to make it late is mostly our machine; from outside a
    slow machine and a slow model look alike, and the doubt is the miner's."""
    OUTPUT_LIMIT = 603
    """The evaluator wrote more than a request can call for, whatever the model does."""
    NO_RESULT = 604
    """The evaluator ended without a result: killed by the system, or crashed."""
    RESULT_INVALID = 605
    """The evaluator's result does not hold what the contract says. The evaluator is ours."""
    WORKER_DISK_FULL = 606
    WORKER_ERROR = 607
    """Anything else that went wrong around the evaluator."""


AnyCode = FailureCode | ServiceCode


class FailureKind(IntEnum):
    """The three kinds that miners are told."""

    REPOSITORY = 1
    MODEL = 2
    WORKER = 3

    @property
    def is_ours(self) -> bool:
        """The miner is not at fault, so no submission fails for it."""
        return self is FailureKind.WORKER


class Action(str, Enum):
    """What becomes of the submission."""

    FAIL = "FAIL"
    RETRY = "RETRY"
    PARK = "PARK"


@dataclass(frozen=True)
class Decision:
    """The consequence of one failure. ``priority`` and ``delay`` matter when it is not FAIL."""

    action: Action
    priority: Priority
    delay: timedelta


_KIND_OF_HUNDRED: Final = {
    1: FailureKind.WORKER,  # a bad request: the service wrote it
    2: FailureKind.MODEL,
    3: FailureKind.WORKER,
    4: FailureKind.REPOSITORY,
    5: FailureKind.MODEL,
    6: FailureKind.WORKER,
}

_LEAD: Final = {
    FailureKind.REPOSITORY: "The repository is not public or not reachable",
    FailureKind.MODEL: "The model cannot be loaded or run",
    FailureKind.WORKER: "Error in our worker",
}


def kind_of(code: AnyCode) -> FailureKind:
    """Whose fault a failure with this code is."""
    return _KIND_OF_HUNDRED[code // 100]


def decide(code: AnyCode, *, attempts: int) -> Decision:
    """What follows from a failure.

    ``attempts`` counts the attempts at this submission up to and including the failed one;
    attempts that were handed back do not count.

    The first loss of a worker keeps the submission's place: it is most likely a restart of ours,
    and it shall cost one lease time and nothing else. A submission that takes its worker down
    again goes behind the others like every error of ours.
    """
    if attempts < 1:
        raise ValueError(f"attempts must count the failed one, got {attempts}")
    if not kind_of(code).is_ours:
        return Decision(Action.FAIL, Priority.NORMAL, timedelta(0))
    if attempts > MAX_RETRIES:
        return Decision(Action.PARK, Priority.PARKED, timedelta(0))
    if code is ServiceCode.WORKER_LOST and attempts == 1:
        return Decision(Action.RETRY, Priority.NORMAL, timedelta(0))
    return Decision(Action.RETRY, Priority.RETRY, RETRY_DELAY * 2 ** (attempts - 1))


def miner_message(code: AnyCode, detail: str, *, attempts: int) -> str:
    """What the miner reads: the kind, then what was wrong and what to do.

    ``detail`` must be fit for the public. The details of an error of ours stay with the operator:
    the miner can do nothing about them.
    """
    kind = kind_of(code)
    lead = f"({kind.value}) {_LEAD[kind]}"
    if not kind.is_ours:
        return f"{lead}: {detail}"[:MAX_MESSAGE_CHARS]
    if decide(code, attempts=attempts).action is Action.PARK:
        then = "the retries are used up and an operator will look at it"
    else:
        then = f"it will be retried ({attempts} of {MAX_RETRIES})"
    return f"{lead} ({code.name}): {then}. The submission is not at fault; nothing to do."
