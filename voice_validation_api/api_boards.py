"""What callers get about many submissions at once: boards, the queue, the service's health."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from scoring.contract import Interval
from voice_validation_api.api_models import Answer, interval_of, public_revision
from voice_validation_api.api_text import Object, Text
from voice_validation_api.records import (
    Calibration,
    LeaderboardEntry,
    MinerboardRow,
    QueueState,
    RecentEntry,
)
from voice_validation_api.rounds.outcome import Decided


class LeaderboardRow(Answer):
    """One scored submission. Entries whose intervals overlap share a rank."""

    rank: int
    id: int
    hotkey: Text
    repo: Text
    revision: str
    status: str
    score: float
    interval: Interval
    wer: float
    human_likeness: float
    block: int
    recorded_at: datetime
    verdict: str | None = Field(description="What the newest round decided; null: nothing yet.")
    win_rate: float | None
    weight: float | None

    @classmethod
    def of(cls, rank: int, entry: LeaderboardEntry, decided: Decided | None) -> LeaderboardRow:
        """The row of a leaderboard entry."""
        return cls(
            rank=rank,
            id=entry.submission_id,
            hotkey=entry.hotkey,
            repo=f"{entry.namespace}/{entry.name}",
            revision=entry.revision,
            status=entry.status.value,
            score=entry.score,
            interval=interval_of(entry),
            wer=entry.wer,
            human_likeness=entry.human_likeness,
            block=entry.block,
            recorded_at=entry.recorded_at,
            verdict=None if decided is None else decided.verdict,
            win_rate=None if decided is None else decided.win_rate,
            weight=None if decided is None else decided.weight,
        )


class CalibrationRow(Answer):
    """How a reference voice scores on the same prompts: an anchor of the scale."""

    name: str = Field(examples=["hibari"])
    status: Literal["COMPLETED"] = "COMPLETED"
    score: float
    interval: Interval
    wer: float
    human_likeness: float

    @classmethod
    def of(cls, row: Calibration) -> CalibrationRow:
        """The row of a calibration."""
        return cls(
            name=row.voice,
            score=row.score,
            interval=interval_of(row),
            wer=row.wer,
            human_likeness=row.human_likeness,
        )


class Leaderboard(Answer):
    """The ranking of one competition under one protocol, and the anchors of its scale."""

    competition_id: str
    protocol: str | None = Field(description="Scores under different protocols never mix.")
    round: int | None = Field(description="The newest published round; null: none yet.")
    rows: tuple[LeaderboardRow, ...]
    calibration: tuple[CalibrationRow, ...]


class RecentAnswer(Answer):
    """One of the newest submissions, whatever became of it."""

    id: int
    hash: str
    competition_id: str
    repo_namespace: Text
    repo_name: Text
    config_template: str
    hotkey: Text
    revision: str | None
    block: int
    status: str
    priority: str
    failure_kind: int | None
    notes: Text | None = Field(description="Why it failed, or why its last attempt did.")
    total_score: float | None
    wer: float | None
    human_likeness: float | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: RecentEntry) -> RecentAnswer:
        """The answer about one entry."""
        return cls(
            id=row.submission_id,
            hash=row.submission_hash,
            competition_id=row.competition_id,
            repo_namespace=row.namespace,
            repo_name=row.name,
            config_template=row.config_template,
            hotkey=row.hotkey,
            revision=public_revision(row.revision),
            block=row.block,
            status=row.status.value,
            priority=row.priority.value,
            failure_kind=row.failure_kind,
            notes=row.failure_message,
            total_score=row.score,
            wer=row.wer,
            human_likeness=row.human_likeness,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class MinerAnswer(Answer):
    """One miner of the operator's list, beside its newest submission under that hash."""

    uid: int
    hotkey: Text
    hash: str | None
    block: int | None
    status: str | None
    total_score: float | None
    details: Object
    updated_at: datetime

    @classmethod
    def of(cls, row: MinerboardRow) -> MinerAnswer:
        """The answer about one row."""
        return cls(
            uid=row.uid,
            hotkey=row.hotkey,
            hash=row.submission_hash,
            block=row.block,
            status=None if row.status is None else row.status.value,
            total_score=row.score,
            details=row.details,
            updated_at=row.updated_at,
        )


class RunningAnswer(Answer):
    """A submission that a worker holds now."""

    id: int
    status: str
    worker_id: Text
    attempts: int
    started_at: datetime
    lease_expires_at: datetime


class WorkersAnswer(Answer):
    """How many queues of workers are there. Each evaluates one submission at a time."""

    alive: int = Field(description="They hold a submission, or asked for one lately.")
    busy: int = Field(description="They hold a submission.")
    ill: int = Field(description="Their canary failed: they claim nothing until they are well.")


class QueueAnswer(Answer):
    """The queue at a glance."""

    waiting: int
    retrying: int = Field(description="Behind all others, after an error of ours.")
    parked: int = Field(description="Retries used up: an operator has to look.")
    completed: int
    failed: int
    workers: WorkersAnswer
    running: tuple[RunningAnswer, ...]

    @classmethod
    def of(cls, state: QueueState) -> QueueAnswer:
        """The answer about the queue."""
        running = tuple(
            RunningAnswer(
                id=lease.submission_id,
                status=lease.status.value,
                worker_id=lease.worker_id,
                attempts=lease.attempts,
                started_at=lease.started_at,
                lease_expires_at=lease.lease_expires_at,
            )
            for lease in state.running
        )
        return cls(
            waiting=state.waiting,
            retrying=state.retrying,
            parked=state.parked,
            completed=state.completed,
            failed=state.failed,
            workers=WorkersAnswer(**vars(state.workers)),
            running=running,
        )


class Health(Answer):
    """Whether the service can work."""

    status: Literal["ok", "unavailable"]
    database: Literal["ok", "unavailable"]
    hub: str = Field(
        description="The model hub that is asked.", examples=["https://huggingface.co"]
    )
    hub_token: bool = Field(description="Whether the service has a token for the hub.")
    admin_key: bool = Field(description="Whether an admin key is configured.")
    hotkey: str | None = Field(description="The receiver that reports are signed for.")
    round_signers: str | None = Field(
        description="Who signs rounds, as validators take it; null: that hotkey.",
        examples=["5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"],
    )


class Root(Answer):
    """What this is."""

    name: str
    version: str
    documentation: str
    endpoints: tuple[str, ...]


class Accepted(Answer):
    """What was sent is stored."""

    status: Literal["ok"] = "ok"
