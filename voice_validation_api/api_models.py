"""What callers get about models and submissions, made from the store's records."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from scoring.contract import Interval
from utilities.model_reference import ModelReference
from voice_validation_api.api_text import Object, Text
from voice_validation_api.records import (
    Result,
    Score,
    ShownAttempt,
    StoredSample,
    Submission,
    SubmissionId,
)
from voice_validation_api.registration import UNPINNED
from voice_validation_api.status import NO_METADATA


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class FailureAnswer(Answer):
    """Why a submission failed, or why its last attempt did."""

    kind: int = Field(
        description="1: the repository is not public or not reachable; 2: the model cannot be "
        "loaded or run; 3: an error in our worker."
    )
    code: str | None = Field(examples=["MODEL_REFUSED"])
    message: Text


class TotalScore(Answer):
    """A score with its 95 % interval. The word error rate may exceed 1."""

    total_score: float
    low: float
    high: float
    wer: float
    human_likeness: float


class ModelAnswer(Answer):
    """The state of a model that was asked for by its names. NO_METADATA: never submitted."""

    id: int | None
    hash: str
    status: str = Field(examples=["QUEUED"])
    competition_id: str
    repo_namespace: Text
    repo_name: Text
    config_template: str
    hotkey: Text
    revision: str | None
    block: int | None
    score: TotalScore | None
    failure: FailureAnswer | None

    @classmethod
    def absent(cls, reference: ModelReference) -> ModelAnswer:
        """The answer about a model that was never submitted."""
        return cls(
            id=None,
            hash=reference.submission_hash,
            status=NO_METADATA,
            competition_id=reference.competition_id,
            repo_namespace=reference.namespace,
            repo_name=reference.name,
            config_template=reference.config_template,
            hotkey=reference.hotkey,
            revision=None,
            block=None,
            score=None,
            failure=None,
        )

    @classmethod
    def of(cls, row: Submission, result: Result | None) -> ModelAnswer:
        """The answer about a submission."""
        return cls(
            id=row.id,
            hash=row.submission_hash,
            status=row.status.value,
            competition_id=row.competition_id,
            repo_namespace=row.namespace,
            repo_name=row.name,
            config_template=row.config_template,
            hotkey=row.hotkey,
            revision=public_revision(row.revision),
            block=row.block,
            score=None if result is None else _total_score(result),
            failure=_failure(row),
        )


class SampleAnswer(Answer):
    """What became of one prompt. ``audio`` is the path of the recording, where there is one."""

    prompt_index: int
    text: Text
    prompt: Object = Field(description="How the line was to be spoken.")
    outcome: Literal["scored", "unscored"]
    reason: Text | None
    audio: str | None = Field(examples=["/submissions/7/audio/0"])
    audio_digest: str | None = Field(description="sha256 of the recording.")
    seconds: float | None
    truncated: bool
    transcript: Text | None
    errors: Object | None
    wer: float | None
    human_likeness: float | None
    score: float | None
    components: Object

    @classmethod
    def of(cls, submission_id: SubmissionId, row: StoredSample) -> SampleAnswer:
        """The answer about a stored sample."""
        audio = row.audio and f"/submissions/{submission_id}/audio/{row.prompt_index}"
        return cls(**{**vars(row), "audio": audio})


class AttemptAnswer(Answer):
    """One attempt at evaluating a submission. Logs are the operator's and stay out."""

    started_at: datetime
    ended_at: datetime | None
    outcome: str | None = Field(examples=["COMPLETED"])
    failure_code: str | None

    @classmethod
    def of(cls, row: ShownAttempt) -> AttemptAnswer:
        """The answer about a stored attempt."""
        return cls(
            started_at=row.started_at,
            ended_at=row.ended_at,
            outcome=None if row.outcome is None else row.outcome.value,
            failure_code=row.failure_code,
        )


class SubmissionAnswer(Answer):
    """One submission with everything that the public may see of it."""

    id: int
    competition_id: str
    hotkey: Text
    repo: Text = Field(examples=["parler-tts/parler-tts-mini-v1"])
    revision: str | None
    block: int
    hash: str
    config_template: str
    status: str
    priority: str
    weights_digest: str | None
    failure: FailureAnswer | None
    score: float | None
    interval: Interval | None
    wer: float | None
    human_likeness: float | None
    scored: int | None
    unscored: int | None
    protocol: str | None
    prompts_digest: str | None
    recorded_at: datetime | None
    created_at: datetime
    updated_at: datetime
    attempts: tuple[AttemptAnswer, ...]
    samples: tuple[SampleAnswer, ...]

    @classmethod
    def of(
        cls,
        row: Submission,
        result: Result | None,
        attempts: tuple[ShownAttempt, ...],
        samples: tuple[StoredSample, ...],
    ) -> SubmissionAnswer:
        """The answer about a submission."""
        return cls(
            id=row.id,
            competition_id=row.competition_id,
            hotkey=row.hotkey,
            repo=row.repo_id,
            revision=public_revision(row.revision),
            block=row.block,
            hash=row.submission_hash,
            config_template=row.config_template,
            status=row.status.value,
            priority=row.priority.value,
            weights_digest=row.weights_digest,
            failure=_failure(row),
            score=result and result.score,
            interval=None if result is None else interval_of(result),
            wer=result and result.wer,
            human_likeness=result and result.human_likeness,
            scored=result and result.scored,
            unscored=result and result.unscored,
            protocol=result and result.protocol,
            prompts_digest=result and result.prompts_digest,
            recorded_at=result and result.recorded_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
            attempts=tuple(AttemptAnswer.of(attempt) for attempt in attempts),
            samples=tuple(SampleAnswer.of(row.id, sample) for sample in samples),
        )


def interval_of(score: Score) -> Interval:
    """The 95 % interval of a score."""
    return Interval(low=score.low, high=score.high)


def public_revision(revision: str) -> str | None:
    """The pinned revision; None where the submission was refused before one could be pinned."""
    return None if revision == UNPINNED else revision


def _failure(row: Submission) -> FailureAnswer | None:
    if row.failure_kind is None or row.failure_message is None:
        return None
    return FailureAnswer(kind=row.failure_kind, code=row.failure_code, message=row.failure_message)


def _total_score(result: Result) -> TotalScore:
    return TotalScore(
        total_score=result.score,
        low=result.low,
        high=result.high,
        wer=result.wer,
        human_likeness=result.human_likeness,
    )
