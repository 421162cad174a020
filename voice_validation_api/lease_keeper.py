"""Keeps the lease of a claim alive while its evaluation runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta

from voice_validation_api.database import DatabaseUnavailableError
from voice_validation_api.records import Claim
from voice_validation_api.submission_queue import LeaseLostError, SubmissionQueue

BEATS_PER_LEASE = 4
log = logging.getLogger(__name__)


class KeptLease:
    """Whether a lease still holds, as far as this worker knows."""

    def __init__(self) -> None:
        self._lost = threading.Event()

    def is_lost(self) -> bool:
        """True once the database said that somebody else may hold the submission."""
        return self._lost.is_set()

    def lose(self) -> None:
        """The database said so."""
        self._lost.set()


@contextmanager
def kept_lease(queue: SubmissionQueue, claim: Claim, lease: timedelta) -> Iterator[KeptLease]:
    """Beat in a thread until the block ends.

    While the database does not answer, the evaluation goes on and the next beat asks again: nobody
    else can have taken the submission without the database either.
    """
    kept, ended = KeptLease(), threading.Event()
    interval = lease.total_seconds() / BEATS_PER_LEASE

    def beat_on() -> None:
        while not ended.wait(interval) and not kept.is_lost():
            _beat(queue, claim, kept)

    # What the thread logs names the submission too.
    thread = threading.Thread(
        target=copy_context().run,
        args=(beat_on,),
        name=f"lease-{claim.submission_id}",
        daemon=True,
    )
    thread.start()
    try:
        yield kept
    finally:
        ended.set()
        thread.join()


def _beat(queue: SubmissionQueue, claim: Claim, kept: KeptLease) -> None:
    try:
        queue.heartbeat(claim)
    except LeaseLostError:
        kept.lose()
    except DatabaseUnavailableError as error:
        log.warning("no heartbeat: %s", error)
