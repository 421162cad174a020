"""A checked result as the rows that are kept of it. The result must be COMPLETED."""

from __future__ import annotations

from collections.abc import Mapping

from scoring.contract import Sample, TtsResult
from voice_validation_api.records import JsonObject, Score, StoredSample


def score_of(result: TtsResult) -> Score:
    """The aggregate of ``result``."""
    assert result.aggregate is not None
    assert result.protocol_digest is not None
    assert result.prompts_digest is not None
    aggregate = result.aggregate
    return Score(
        protocol=result.protocol_digest,
        prompts_digest=result.prompts_digest,
        score=aggregate.score,
        low=aggregate.interval.low,
        high=aggregate.interval.high,
        wer=aggregate.wer,
        human_likeness=aggregate.human_likeness,
        scored=aggregate.scored,
        unscored=aggregate.unscored,
    )


def details_of(result: TtsResult, protocol: str | None) -> JsonObject:
    """All of ``result`` but its samples, and what its protocol consists of: the database keeps that
    by itself."""
    details = result.model_dump(mode="json", exclude={"samples", "failure"})
    return details if protocol is None else {**details, "protocol": protocol}


def sample_of(sample: Sample, clips: Mapping[str, str]) -> StoredSample:
    """One sample; ``clips`` gives the place in the audio store for each clip of the result."""
    return StoredSample(
        prompt_index=sample.prompt.index,
        text=sample.prompt.text,
        prompt=sample.prompt.model_dump(mode="json", exclude={"index", "text"}),
        outcome=sample.outcome,
        reason=sample.reason,
        audio=clips[sample.audio] if sample.audio is not None else None,
        audio_digest=sample.audio_digest,
        seconds=sample.seconds,
        truncated=sample.truncated,
        transcript=sample.transcript,
        second_transcript=sample.second_transcript,
        errors=sample.errors.model_dump() if sample.errors is not None else None,
        wer=sample.wer,
        human_likeness=sample.human_likeness,
        score=sample.score,
        components=dict(sample.components),
    )
