"""What tests of the queue share."""

from __future__ import annotations

from service_helpers import run_sql

from voice_validation_api.records import Claim, Score, StoredSample
from voice_validation_api.status import SubmissionStatus
from voice_validation_api.submission_queue import SubmissionQueue

ACTIVE = (SubmissionStatus.PRECHECK, SubmissionStatus.RUNNING)
"""A worker holds such a submission under a lease."""
SCORE = Score(
    protocol="1" * 64,
    prompts_digest="2" * 64,
    score=0.5,
    low=0.4,
    high=0.6,
    wer=0.1,
    human_likeness=0.5,
    scored=1,
    unscored=0,
)


def sample() -> StoredSample:
    """What became of one prompt: nothing."""
    return StoredSample(
        prompt_index=0,
        text="Hello.",
        prompt={},
        outcome="unscored",
        reason="silence",
        audio=None,
        seconds=None,
        truncated=False,
        transcript=None,
        errors=None,
        wer=None,
        human_likeness=None,
        score=None,
        components={},
    )


def complete(queue: SubmissionQueue, claim: Claim) -> None:
    """Record a score, with one sample."""
    queue.complete(claim, SCORE, weights_digest=None, details={}, samples=[sample()], log="log")


def expire(dsn: str) -> None:
    """Let every lease run out, as if the time had passed."""
    run_sql(
        dsn,
        "UPDATE submissions SET lease_expires_at = now() - interval '1 second'"
        " WHERE lease_expires_at IS NOT NULL",
    )


def insert_waiting(dsn: str, count: int) -> None:
    """Queue ``count`` submissions at once, with blocks 1 to ``count``."""
    run_sql(
        dsn,
        """INSERT INTO submissions (competition_id, hotkey, block, revision, namespace, name,
            config_template, submission_hash, status)
            SELECT 'tts', 'h', n, 'r', 'n', 'n', 'c', '1', 'QUEUED'
            FROM generate_series(1, %s) AS n""",
        count,
    )
