"""A worker with a trivial evaluation, for tests of faults: the real queue, and a log of its own.

    python queue_worker.py DSN NAME LOG

It writes a line for every claim before it works on it and for every answer before it goes on, so
that what it was told survives a SIGKILL.
"""

from __future__ import annotations

import os
import random
import sys
from datetime import timedelta
from functools import partial
from itertools import count

from queue_helpers import complete

from scoring.contract import FailureCode
from voice_validation_api.database import Database, DatabaseUnavailableError
from voice_validation_api.failures import ServiceCode
from voice_validation_api.persistence import persist
from voice_validation_api.records import Claim
from voice_validation_api.status import AttemptOutcome
from voice_validation_api.submission_queue import LeaseLostError, SubmissionQueue
from voice_validation_api.wakeup import Stop

LEASE = timedelta(seconds=2)
RECOVER_EVERY = 10
PAUSE_SECONDS = 0.05
HANGING = 0.001  # of the evaluations outlive their lease
NEVER = Stop()


def work(dsn: str, name: str, log: str) -> None:
    """Claim and settle until killed."""
    chance = random.Random(name)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    queue = SubmissionQueue(_database(dsn), worker_id=name, lease=LEASE)
    for turn in count():
        try:
            if turn % RECOVER_EVERY == 0:
                queue.recover_expired()
            claim = queue.claim()
        except DatabaseUnavailableError:
            claim = None
        if claim is None:
            NEVER.wait(PAUSE_SECONDS)
        else:
            _say(out, "CLAIMED", claim)
            _say(out, _answer(queue, claim, hangs=chance.random() < HANGING), claim)


def _database(dsn: str) -> Database:
    while True:
        try:
            return Database(dsn, size=1, application="fault-worker")
        except DatabaseUnavailableError:  # noqa: PERF203 - to try again is the point
            NEVER.wait(PAUSE_SECONDS)


def _answer(queue: SubmissionQueue, claim: Claim, *, hangs: bool) -> str:
    try:
        return _work_on(queue, claim, hangs=hangs).value
    except LeaseLostError:
        return "LOST"


def _work_on(queue: SubmissionQueue, claim: Claim, *, hangs: bool) -> AttemptOutcome:
    """One attempt. What comes of it depends on the submission and its history alone."""
    persist(partial(queue.start_running, claim), NEVER)
    if hangs:
        NEVER.wait(1.5 * LEASE.total_seconds())
    else:
        persist(partial(queue.heartbeat, claim), NEVER)
    kind = claim.submission_id % 50
    if kind == 0:
        code = FailureCode.TENSOR_MISMATCH
        persist(partial(queue.fail, claim, code, public="a tensor is missing"), NEVER)
        return AttemptOutcome.FAILED
    if kind == 1 and claim.attempts == 1:
        persist(partial(queue.fail, claim, ServiceCode.HUB_UNREACHABLE, public=""), NEVER)
        return AttemptOutcome.RETRIED
    if kind == 2 and claim.fence == 1:
        persist(partial(queue.hand_back, claim), NEVER)
        return AttemptOutcome.HANDED_BACK
    persist(partial(complete, queue, claim), NEVER)
    return AttemptOutcome.COMPLETED


def _say(out: int, word: str, claim: Claim) -> None:
    os.write(out, f"{word} {claim.submission_id} {claim.fence}\n".encode())


if __name__ == "__main__":
    work(*sys.argv[1:])
