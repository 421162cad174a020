"""Made-up rounds for the tests of the competition: few words for what a test is about."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.competition import (
    ChainEvidence,
    NearCopy,
    Participant,
    PreviousRound,
    Repository,
    RoundResult,
    RoundSnapshot,
    Rules,
    Standing,
    Weights,
    weights,
)
from scoring.competition.records import State
from scoring.competition.rounds import round_seed, round_times
from scoring.contract import Interval

RULES = Rules(round_length=1_000, replacement_grace=1_000, resamples=100, window=4)
FIRST = 10
"""The number of the first round. Submissions are made at blocks below 10,000, where it starts."""
PROMPTS = 10


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One submission. ``voice`` names the noise of its results: two of one voice score alike."""

    number: int
    block: int = 100
    quality: float | None = 0.5
    hotkey: str = ""
    coldkey: str = ""
    digest: str | None = None
    commits_digest: bool = False
    sealed_block: int | None = None
    pinned_block: int | None = None
    superseded_block: int | None = None
    near: tuple[Entry, ...] = ()
    state: State = "counts"
    voice: str = ""
    per_prompt: bool = True

    @property
    def owner(self) -> str:
        return self.hotkey or f"hotkey-{self.number}"

    @property
    def payer(self) -> str:
        return self.coldkey or f"coldkey-{self.number}"

    @property
    def pinned(self) -> int:
        return self.block + 1 if self.pinned_block is None else self.pinned_block

    @property
    def commitment(self) -> str:
        return f"commitment of {self.number}"

    @property
    def weights_digest(self) -> str:
        return self.digest or hashlib.sha256(f"weights of {self.number}".encode()).hexdigest()


def standing(entry: Entry, seed: str) -> Standing:
    digest = entry.weights_digest if entry.commits_digest else None
    evidence = ChainEvidence(
        block=entry.block,
        block_hash=block_hash(entry.block),
        commitment=entry.commitment,
        sealed_block=entry.sealed_block,
    )
    return Standing(
        submission_id=entry.number,
        hotkey=entry.owner,
        coldkey=entry.payer,
        repository=Repository(namespace="lab", name="voice", revision="0" * 40),
        evidence=evidence,
        pinned_block=entry.pinned,
        committed_digest=digest,
        weights_digest=entry.weights_digest,
        superseded_block=entry.superseded_block,
        near_copies=tuple(near_copy(other) for other in entry.near),
        state=entry.state,
        reason="" if entry.state == "counts" else "for a reason",
        result=None if entry.quality is None else result(entry, seed),
    )


def near_copy(entry: Entry) -> NearCopy:
    alone = standing(Entry(**{**vars(entry), "near": (), "state": "counts"}), "")
    return NearCopy(
        submission_id=entry.number,
        hotkey=entry.owner,
        coldkey=entry.payer,
        priority_block=alone.priority_block,
        pinned_block=entry.pinned,
        evidence="similarity 0.998",
    )


def result(entry: Entry, seed: str) -> RoundResult:
    """Mean ``quality``, with noise of 0.02 on each prompt, to six digits on every machine."""
    assert entry.quality is not None
    noise = random.Random(f"{seed}:{entry.voice or entry.number}")
    noisy = [round(entry.quality + noise.gauss(0, 0.02), 6) for _ in range(PROMPTS)]
    scores = [min(max(score, 0.0), 1.0) for score in noisy]
    mean = sum(scores) / len(scores)
    return RoundResult(
        score=mean,
        interval=Interval(low=mean, high=mean),
        wer=0.1,
        human_likeness=0.9,
        prompt_scores=tuple(scores) if entry.per_prompt else (),
    )


def block_hash(block: int) -> str:
    return "0x" + hashlib.sha256(f"block {block}".encode()).hexdigest()


def snapshot(
    number: int,
    entries: Iterable[Entry],
    previous: RoundSnapshot | None = None,
    rules: Rules = RULES,
    **changes: Any,
) -> RoundSnapshot:
    times = round_times(number, rules)
    seed = round_seed("tts", number, block_hash(times.seed_block))
    fields = {
        "competition_id": "tts",
        "number": number,
        "start_block": times.start_block,
        "seed_block": times.seed_block,
        "seed_block_hash": block_hash(times.seed_block),
        "seed": seed,
        "closed_block": times.seed_block + 90,
        "protocol_digest": "a" * 64,
        "prompts_digest": "b" * 64,
        "previous": previous and PreviousRound(number=previous.number, digest=previous.digest),
        "standings": tuple(standing(entry, seed) for entry in entries),
    }
    return RoundSnapshot(**{**fields, **changes})


def history(rounds: Sequence[Sequence[Entry]], rules: Rules = RULES) -> list[RoundSnapshot]:
    """Rounds FIRST, FIRST + 1, …"""
    snapshots: list[RoundSnapshot] = []
    for number, entries in enumerate(rounds, start=FIRST):
        snapshots.append(snapshot(number, entries, snapshots[-1] if snapshots else None, rules))
    return snapshots


def registered(entries: Iterable[Entry]) -> list[Participant]:
    """All of them, each committed to the newest of its submissions."""
    newest = {entry.owner: entry for entry in sorted(entries, key=lambda e: e.block)}
    return [
        Participant(
            hotkey=owner,
            coldkey=entry.payer,
            commitment_block=entry.block,
            commitment=entry.commitment,
        )
        for owner, entry in newest.items()
    ]


def weigh(
    rounds: Sequence[Sequence[Entry]],
    *,
    chain: Sequence[Participant] | None = None,
    rules: Rules = RULES,
    block: int | None = None,
) -> Weights:
    """The weights when the last of the rounds has closed."""
    snapshots = history(rounds, rules)
    if chain is None:
        chain = registered(entry for entries in rounds for entry in entries)
    at = snapshots[-1].closed_block if block is None else block
    return weights(snapshots, chain=chain, rules=rules, block=at)


def units(decided: Weights) -> dict[str, int]:
    """Of those who get any."""
    return {share.hotkey: share.units for share in decided.shares if share.units}


def verdicts(decided: Weights) -> dict[int, str]:
    return {e.submission_id: e.verdict for e in decided.explanations}
