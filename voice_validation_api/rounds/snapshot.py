"""What is published of a round: rows become standings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from scoring.competition import (
    ChainEvidence,
    NearCopy,
    PreviousRound,
    Repository,
    RoundResult,
    RoundSnapshot,
    Standing,
)
from scoring.contract import Interval
from voice_validation_api.rounds.copying import with_near_copies
from voice_validation_api.rounds.drawing import MAX_MISSES
from voice_validation_api.rounds.records import Entry, RunningRound

MAX_REASON_CHARS = 1_000


def protocol_of(entries: Sequence[Entry]) -> tuple[str, str] | None:
    """The protocol and the prompts' digest under which most entries were scored; None: nobody was.

    Where a worker of another release scored some, their scores cannot be compared.
    """
    found = Counter(
        (entry.protocol, entry.prompts_digest)
        for entry in entries
        if entry.protocol is not None and entry.prompts_digest is not None
    )
    return min(found, key=lambda key: (-found[key], key)) if found else None


def snapshot_of(
    running: RunningRound,
    entries: Sequence[Entry],
    *,
    protocol: tuple[str, str],
    near_copies: Mapping[int, tuple[NearCopy, ...]],
    previous: PreviousRound | None,
    closed_block: int,
) -> RoundSnapshot:
    """The snapshot of a round that scores and is now to be closed."""
    assert running.seed is not None
    assert running.seed_block_hash is not None
    standings = [_standing(entry, protocol) for entry in entries]
    return RoundSnapshot(
        competition_id=running.competition_id,
        number=running.number,
        start_block=running.start_block,
        seed_block=running.seed_block,
        seed_block_hash=running.seed_block_hash,
        seed=running.seed,
        closed_block=closed_block,
        protocol_digest=protocol[0],
        prompts_digest=protocol[1],
        previous=previous,
        standings=with_near_copies(standings, near_copies, seed=running.seed),
    )


def _standing(entry: Entry, protocol: tuple[str, str]) -> Standing:
    result = _result(entry, protocol)
    suspended = entry.absence is not None and entry.misses >= MAX_MISSES
    return Standing(
        submission_id=entry.submission_id,
        hotkey=entry.hotkey,
        coldkey=entry.coldkey,
        repository=Repository(namespace=entry.namespace, name=entry.name, revision=entry.revision),
        evidence=ChainEvidence(
            block=entry.block,
            block_hash=entry.block_hash,
            commitment=entry.commitment,
            sealed_block=entry.sealed_block,
        ),
        pinned_block=entry.pinned_block,
        committed_digest=entry.committed_digest,
        weights_digest=entry.weights_digest,
        superseded_block=entry.superseded_block,
        state="suspended" if suspended else "counts",
        reason="" if result is not None else _why_unscored(entry, protocol)[:MAX_REASON_CHARS],
        result=result,
    )


def _result(entry: Entry, protocol: tuple[str, str]) -> RoundResult | None:
    if entry.score is None or (entry.protocol, entry.prompts_digest) != protocol:
        return None
    assert entry.low is not None
    assert entry.high is not None
    assert entry.wer is not None
    assert entry.human_likeness is not None
    return RoundResult(
        score=entry.score,
        interval=Interval(low=entry.low, high=entry.high),
        wer=entry.wer,
        human_likeness=entry.human_likeness,
        prompt_scores=entry.prompt_scores or (),
    )


def _why_unscored(entry: Entry, protocol: tuple[str, str]) -> str:
    if entry.absence is not None:
        return f"{entry.absence}, for {entry.misses} of {MAX_MISSES} rounds"
    if entry.score is not None:
        return f"it was scored under protocol {entry.protocol}, and the round under {protocol[0]}"
    return entry.failure_message or "it was not scored before the round ended; the next one will"
