"""The leaderboard as one snapshot, for an API that publishes no rounds yet.

It is unsigned and has no results per prompt, so that of two models the later one's score loses a
fixed part instead (the third rule of the competition). What the leaderboard does not say, the
validator reads from the chain itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from neurons.chain_past import Commitments, PastCommitments
from neurons.service_api import ServiceApi
from scoring.competition import (
    ChainEvidence,
    Repository,
    RoundResult,
    RoundSnapshot,
    Rules,
    Standing,
)
from scoring.competition.rounds import round_seed
from scoring.contract import Hex64, Interval, Unit
from utilities.chain import Commitment
from utilities.chain_view import View
from utilities.model_reference import InvalidReferenceError, ModelReference, parse_reference

RULES: Final = replace(Rules(), round_length=1, seed_delay=0)
"""A leaderboard has no schedule: it stands for a round of the block after its newest commitment."""
PAGE: Final = 1_000
MAX_PAGES: Final = 100
_UNHASHED: Final = "0x" + "0" * 64
"""The leaderboard names no block hashes, and nothing depends on these."""


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Row(_Shown):
    """One scored submission."""

    id: int = Field(ge=0, lt=2**63)
    hotkey: str = Field(pattern=r"^[1-9A-HJ-NP-Za-km-z]{1,64}$")
    repo: str = Field(pattern=r"^[A-Za-z0-9._-]{1,96}/[A-Za-z0-9._-]{1,96}$")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    score: Unit
    interval: Interval
    wer: float = Field(ge=0)
    human_likeness: Unit
    block: int = Field(ge=0, lt=2**48)


class _Page(_Shown):
    protocol: Hex64 | None
    rows: tuple[Row, ...] = Field(max_length=PAGE)


class _Submission(_Shown):
    weights_digest: Hex64 | None


@dataclass(frozen=True)
class Leaderboard:
    """All rows under one protocol; no row, no protocol."""

    protocol: str | None
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Dropped:
    """A scored submission that does not count, and why."""

    submission_id: int
    hotkey: str
    repo: str
    reason: str


def read_leaderboard(api: ServiceApi, competition_id: str) -> Leaderboard:
    """Every row. Raises ServiceError."""
    rows: list[Row] = []
    protocol: str | None = None
    for _ in range(MAX_PAGES):
        page = api.get(
            "/leaderboard", _Page, competition_id=competition_id, limit=PAGE, offset=len(rows)
        )
        if rows and page.protocol != protocol:
            rows = []  # The first score under a new protocol came in between.
            protocol = page.protocol
            continue
        protocol = page.protocol
        rows += page.rows
        if len(page.rows) < PAGE:
            break
    return Leaderboard(protocol, tuple(rows))


def read_digest(api: ServiceApi, submission_id: int) -> str | None:
    """The digest of the weights that were measured. Raises ServiceError."""
    return api.get(f"/submissions/{submission_id}", _Submission, limit=1).weights_digest


def as_snapshot(
    board: Leaderboard,
    competition_id: str,
    view: View,
    past: PastCommitments,
    digest_of: Callable[[int], str | None],
) -> tuple[RoundSnapshot | None, tuple[Dropped, ...]]:
    """The rows that agree with the chain as a snapshot, and the others with the reason.

    Of each hotkey the newest that agrees takes part. No rows make no snapshot. ``digest_of`` tells
    the weights digest of a submission by its id. Raises ChainError, and what ``digest_of`` raises.
    """
    if board.protocol is None or not board.rows:
        return None, ()
    standings: dict[str, Standing] = {}
    dropped = []
    coldkeys = {neuron.hotkey: neuron.coldkey for neuron in view.metagraph.neurons}
    for row in sorted(board.rows, key=lambda row: (row.block, row.id), reverse=True):
        if row.hotkey not in coldkeys:
            dropped.append(_dropped(row, "its hotkey is not registered"))
        elif row.hotkey in standings:
            dropped.append(_dropped(row, "its miner has a newer submission"))
        else:
            try:
                agreed = _agreed(row, competition_id, view, past)
            except _DisagreesError as error:
                dropped.append(_dropped(row, str(error)))
                continue
            coldkey, digest = coldkeys[row.hotkey], digest_of(row.id)
            standings[row.hotkey] = _standing(row, coldkey, agreed, digest)
    snapshot = _snapshot(tuple(standings.values()), competition_id, board.protocol)
    return snapshot, tuple(dropped)


class _DisagreesError(Exception):
    """Nothing on the chain agrees with a row, and why."""


@dataclass(frozen=True)
class _Agreed:
    """Where the chain has what was scored, what that says, and when it was replaced, if it was."""

    evidence: ChainEvidence
    reference: ModelReference
    superseded_block: int | None


def _agreed(row: Row, competition_id: str, view: View, past: PastCommitments) -> _Agreed:
    """What on the chain agrees with a row. Raises _DisagreesError."""
    if row.block >= view.block:
        raise _DisagreesError(f"it waits for the block after {row.block}, where it was committed")
    current = view.commitments.get(row.hotkey)
    if current is None:
        raise _DisagreesError("its hotkey has no commitment")
    if row.block == current.block:
        return _same_model(row, current, None, competition_id)
    # First: it is one past block for all that was replaced long ago.
    _check_grace(row, view, past)
    then = _committed_then(row, past)
    return _same_model(row, then, current.block, competition_id)


def _committed_then(row: Row, past: PastCommitments) -> Commitment:
    then = _remembered(row.block, past).get(row.hotkey)
    if then is None or then.block != row.block:
        raise _DisagreesError(f"its hotkey committed nothing in block {row.block}")
    return then


def _check_grace(row: Row, view: View, past: PastCommitments) -> None:
    """Unless the commitment still held when the grace began: later ones do not renew it."""
    before_grace = view.block - RULES.replacement_grace - 1
    if before_grace < row.block:
        return
    held = _remembered(before_grace, past).get(row.hotkey)
    if held is None or held.block != row.block:
        raise _DisagreesError(
            f"the chain has another commitment of its hotkey, for more than "
            f"{RULES.replacement_grace:,} blocks"
        )


def _remembered(block: int, past: PastCommitments) -> Commitments:
    found = past(block)
    if found is None:
        raise _DisagreesError(f"the node has forgotten block {block}, which would tell")
    return found


def _same_model(
    row: Row, committed: Commitment, superseded: int | None, competition_id: str
) -> _Agreed:
    if committed.text is None:
        raise _DisagreesError(f"its commitment of block {committed.block} is sealed")
    try:
        reference = parse_reference(committed.text, committed_by=row.hotkey)
    except InvalidReferenceError as error:
        raise _DisagreesError(f"its commitment is malformed: {error.message}") from error
    if reference.competition_id != competition_id:
        raise _DisagreesError(f"it was committed for competition {reference.competition_id}")
    if reference.repo_id != row.repo:
        raise _DisagreesError(f"{reference.repo_id} was committed, and {row.repo} scored")
    if reference.revision not in {None, row.revision}:
        raise _DisagreesError(
            f"revision {reference.revision} was committed, and {row.revision} scored"
        )
    evidence = ChainEvidence(
        block=committed.block,
        block_hash=_UNHASHED,
        commitment=committed.text,
    )
    return _Agreed(evidence, reference, superseded)


def _standing(row: Row, coldkey: str, agreed: _Agreed, digest: str | None) -> Standing:
    namespace, name = row.repo.split("/")
    return Standing(
        submission_id=row.id,
        hotkey=row.hotkey,
        coldkey=coldkey,
        repository=Repository(namespace=namespace, name=name, revision=row.revision),
        evidence=agreed.evidence,
        # The leaderboard does not tell when the revision was pinned; not before the commitment.
        pinned_block=row.block,
        committed_digest=agreed.reference.weights_digest,
        weights_digest=digest,
        superseded_block=agreed.superseded_block,
        result=RoundResult(
            score=row.score, interval=row.interval, wer=row.wer, human_likeness=row.human_likeness
        ),
    )


def _snapshot(standings: Sequence[Standing], competition_id: str, protocol: str) -> RoundSnapshot:
    newest = max((standing.evidence.block for standing in standings), default=0)
    number = 1 + max([newest, *(standing.pinned_block for standing in standings)])
    return RoundSnapshot(
        competition_id=competition_id,
        number=number,
        start_block=number,
        seed_block=number,
        seed_block_hash=_UNHASHED,
        seed=round_seed(competition_id, number, _UNHASHED),
        closed_block=number,
        protocol_digest=protocol,
        # Not on the leaderboard either; the protocol covers it.
        prompts_digest=protocol,
        previous=None,
        standings=tuple(standings),
    )


def _dropped(row: Row, reason: str) -> Dropped:
    return Dropped(row.id, row.hotkey, row.repo, reason)
