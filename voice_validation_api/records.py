"""What the store takes and gives: one frozen record per kind of row.

Rows are parsed into these once, in ``database.py``. All times come from the database's clock and
carry a time zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NewType

from voice_validation_api.status import AttemptOutcome, Priority, SubmissionStatus

SubmissionId = NewType("SubmissionId", int)
EvaluationId = NewType("EvaluationId", int)
JsonObject = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ChainEvidence:
    """Where a commitment is on the chain: in ``block``, and sealed before in ``sealed_block``."""

    block: int
    block_hash: str | None = None
    commitment: str | None = None
    sealed_block: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewSubmission:
    """An admitted, or at admission refused, submission.

    (competition_id, hotkey, block, revision) identify it. ``submission_hash`` is decimal text, a
    check value and a way to look things up. ``committed_digest`` is the weights digest that the
    commitment carries, if any. ``commitment`` is what was committed, in the block with
    ``block_hash``; ``sealed_block`` is where it appeared sealed, if it did.
    """

    competition_id: str
    hotkey: str
    block: int
    revision: str
    namespace: str
    name: str
    config_template: str
    submission_hash: str
    committed_digest: str | None = None
    repository_bytes: int | None = None
    commitment: str | None = None
    block_hash: str | None = None
    sealed_block: int | None = None


@dataclass(frozen=True, kw_only=True)
class Submission(NewSubmission):
    """One row of ``submissions``. ``weights_digest`` is measured by the evaluator."""

    id: SubmissionId
    weights_digest: str | None
    status: SubmissionStatus
    priority: Priority
    attempts: int
    not_before: datetime
    fence: int
    worker_id: str | None
    lease_expires_at: datetime | None
    failure_kind: int | None
    failure_code: str | None
    failure_message: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def repo_id(self) -> str:
        """The repository as the hub names it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A submission that a worker holds, with what proves it: every write names the fence.

    ``prompt_seed`` is that of its round; None where there are no rounds.
    """

    submission_id: SubmissionId
    evaluation_id: EvaluationId
    worker_id: str
    fence: int
    attempts: int
    competition_id: str
    namespace: str
    name: str
    revision: str
    config_template: str
    hotkey: str
    repository_bytes: int | None
    prompt_seed: str | None

    @property
    def repo_id(self) -> str:
        """The repository as the hub names it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class ExpiredLease:
    """An attempt whose worker has not been heard of for a lease time."""

    submission_id: SubmissionId
    evaluation_id: EvaluationId
    worker_id: str
    fence: int
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One row of ``evaluations``: one attempt. ``detail`` and ``log`` are for the operator."""

    id: EvaluationId
    submission_id: SubmissionId
    worker_id: str
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    failure_code: str | None
    detail: str | None
    log: str | None


@dataclass(frozen=True, kw_only=True)
class ShownAttempt:
    """What everybody may know about an attempt."""

    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    failure_code: str | None


@dataclass(frozen=True, kw_only=True)
class Score:
    """The aggregate of an evaluation. ``low`` and ``high`` bound the 95 % interval of ``score``.

    ``protocol`` is a digest of everything that makes scores comparable; scores with different
    protocols never share a ranking.
    """

    protocol: str
    prompts_digest: str
    score: float
    low: float
    high: float
    wer: float
    human_likeness: float
    scored: int
    unscored: int


@dataclass(frozen=True, kw_only=True)
class Result(Score):
    """One row of ``results``. ``details`` is the evaluator's result without its samples."""

    evaluation_id: EvaluationId
    submission_id: SubmissionId
    details: JsonObject
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredSample:
    """What became of one prompt. ``audio`` is a path below the audio store, ``audio_digest`` the
    sha256 of that file, ``second_transcript`` what a second recogniser heard, if one listened.

    ``errors`` holds substitutions, deletions, insertions and words; ``prompt`` how the line was to
    be spoken.
    """

    prompt_index: int
    text: str
    prompt: JsonObject
    outcome: Literal["scored", "unscored"]
    reason: str | None
    audio: str | None
    seconds: float | None
    truncated: bool
    transcript: str | None
    errors: JsonObject | None
    wer: float | None
    human_likeness: float | None
    score: float | None
    components: JsonObject
    audio_digest: str | None = None
    second_transcript: str | None = None


@dataclass(frozen=True, kw_only=True)
class LeaderboardEntry(Score):
    """One scored submission. ``rank`` starts at 1; entries that tie share it."""

    rank: int
    submission_id: SubmissionId
    competition_id: str
    hotkey: str
    namespace: str
    name: str
    revision: str
    block: int
    config_template: str
    submission_hash: str
    status: SubmissionStatus
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class RecentEntry:
    """One submission with its newest score, where it has one."""

    submission_id: SubmissionId
    competition_id: str
    hotkey: str
    namespace: str
    name: str
    revision: str
    block: int
    config_template: str
    submission_hash: str
    status: SubmissionStatus
    priority: Priority
    failure_kind: int | None
    failure_message: str | None
    score: float | None
    wer: float | None
    human_likeness: float | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class RunningLease:
    """A submission that a worker holds now."""

    submission_id: SubmissionId
    status: SubmissionStatus
    worker_id: str
    attempts: int
    started_at: datetime
    lease_expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class WorkerCounts:
    """How many queues of workers are there, hold a submission, and claim nothing because their
    canary failed."""

    alive: int
    busy: int
    ill: int


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """The queue at a glance. ``waiting`` and ``retrying`` are claimable, ``parked`` is not."""

    waiting: int
    retrying: int
    parked: int
    completed: int
    failed: int
    workers: WorkerCounts
    running: tuple[RunningLease, ...]


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Who sent a report, by its headers. ``signed`` says whether the hotkey was proven."""

    uid: int | None = None
    hotkey: str | None = None
    coldkey: str | None = None
    git_commit: str | None = None
    bittensor_version: str | None = None
    signed: bool = False


@dataclass(frozen=True, kw_only=True)
class MinerboardEntry:
    """What the operator's queue says about one miner."""

    competition_id: str
    uid: int
    hotkey: str
    submission_hash: str | None = None
    block: int | None = None
    details: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MinerboardRow:
    """A minerboard entry beside the newest submission under its hash and hotkey."""

    competition_id: str
    uid: int
    hotkey: str
    submission_hash: str | None
    block: int | None
    details: JsonObject
    status: SubmissionStatus | None
    score: float | None
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Calibration(Score):
    """How a reference voice scores under ``protocol``: an anchor for the leaderboard."""

    competition_id: str
    voice: str
    request_digest: str
    recorded_at: datetime
