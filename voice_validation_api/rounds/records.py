"""The rows of rounds and their entries as records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from scoring.competition.rounds import RoundTimes
from voice_validation_api.records import SubmissionId
from voice_validation_api.status import Priority, SubmissionStatus


class RoundState(str, Enum):
    """How far a round is. The Postgres enum ``round_state`` has the same members."""

    OPEN = "OPEN"
    """Its entries are fixed, its seed is not known to anybody."""
    SCORING = "SCORING"
    CLOSED = "CLOSED"
    """Published; nothing of it changes any more."""
    VOID = "VOID"
    """It ended, and nobody had a score."""


@dataclass(frozen=True, kw_only=True)
class RunningRound:
    """A round that is not over. ``seed`` and the hash are there once it scores."""

    competition_id: str
    number: int
    state: RoundState
    start_block: int
    seed_block: int
    end_block: int
    seed_block_hash: str | None
    seed: str | None
    opened_at: datetime

    @property
    def times(self) -> RoundTimes:
        """Its place in the schedule."""
        return RoundTimes(self.number, self.start_block, self.seed_block, self.end_block)


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """A submission that takes part. ``absence`` says why it is not scored; None: it is."""

    submission_id: SubmissionId
    coldkey: str
    absence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What the keeper must know of a submission that a round draws."""

    submission_id: SubmissionId
    hotkey: str
    namespace: str
    name: str
    revision: str
    status: SubmissionStatus
    misses: int
    scored_round: int | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A submission in a round, and its score there if it has one.

    ``prompt_scores`` are in the order of the prompts, None where one could not be scored.
    """

    submission_id: SubmissionId
    hotkey: str
    coldkey: str
    absence: str | None
    namespace: str
    name: str
    revision: str
    block: int
    block_hash: str
    commitment: str
    sealed_block: int | None
    pinned_block: int
    committed_digest: str | None
    weights_digest: str | None
    status: SubmissionStatus
    priority: Priority
    misses: int
    failure_message: str | None
    protocol: str | None
    prompts_digest: str | None
    score: float | None
    low: float | None
    high: float | None
    wer: float | None
    human_likeness: float | None
    superseded_block: int | None
    prompt_scores: tuple[float | None, ...] | None

    @property
    def is_settled(self) -> bool:
        """Whether this round can wait for nothing more about it."""
        if self.absence is not None or self.score is not None:
            return True
        parked = self.status is SubmissionStatus.QUEUED and self.priority is Priority.PARKED
        return parked or self.status is SubmissionStatus.FAILED


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published round: the signed snapshot's JSON text."""

    number: int
    digest: str
    published: str


@dataclass(frozen=True, kw_only=True)
class ListedRound:
    """One line of the list of rounds."""

    number: int
    state: RoundState
    start_block: int
    seed_block: int
    end_block: int
    seed: str | None
    closed_block: int | None
    digest: str | None
    opened_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewestWeights:
    """What followed from all rounds when the newest one closed: ``Weights`` as JSON text."""

    number: int
    weights: str
