"""What a round was, as the service publishes it and every validator reads it.

A snapshot is immutable: its canonical bytes have a digest, and each names the one before it.
Nothing here or in the rest of the package needs more than pydantic and the standard library.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from scoring.competition.rounds import round_seed
from scoring.contract import Hex64, Interval, Unit

MAX_STANDINGS: Final = 1_024
MAX_ROUND_PROMPTS: Final = 1_000
MAX_NEAR_COPIES: Final = 32
MAX_SNAPSHOT_BYTES: Final = 32 * 2**20
WEIGHT_UNITS: Final = 65_535
"""Weights are dealt out in these: the chain keeps 16 bits."""

Block = Annotated[int, Field(ge=0, lt=2**48)]
RoundNumber = Annotated[int, Field(ge=0, lt=2**48)]
SubmissionId = Annotated[int, Field(ge=0, lt=2**63)]
Address = Annotated[str, Field(min_length=1, max_length=64, description="ss58")]
BlockHash = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
State = Literal["counts", "held", "suspended", "excluded"]
Verdict = Literal[
    "competes",
    "family",
    "copy",
    "held",
    "suspended",
    "excluded",
    "unregistered",
    "unscored",
    "replaced",
    "contradicted",
]


class Published(BaseModel):
    """Immutable, without unknown fields, conversions, NaN or infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Repository(Published):
    """Where the submission lies, at the revision that was pinned."""

    namespace: str = Field(min_length=1, max_length=96)
    name: str = Field(min_length=1, max_length=96)
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")


class ChainEvidence(Published):
    """Where anybody can read the commitment: block, its hash, and the string itself.

    Of a timelock-sealed commitment ``block`` is that of the reveal. ``sealed_block`` is the block
    in which the sealed one appeared, where the queue recorded it then.
    """

    block: Block
    block_hash: BlockHash
    commitment: str = Field(min_length=1, max_length=780)
    sealed_block: Block | None = None

    @model_validator(mode="after")
    def _sealed_before_revealed(self) -> ChainEvidence:
        if self.sealed_block is not None and self.sealed_block > self.block:
            raise ValueError(f"sealed at {self.sealed_block}, after its reveal at {self.block}")
        return self


class RoundResult(Published):
    """What the evaluator found in this round."""

    score: Unit
    interval: Interval
    wer: float = Field(ge=0.0, description="Corpus WER; may exceed 1.")
    human_likeness: Unit
    prompt_scores: tuple[Unit | None, ...] = Field(
        default=(),
        max_length=MAX_ROUND_PROMPTS,
        description="In the order of the round's prompts; None: unscored. Empty: not published.",
    )


class NearCopy(Published):
    """Another submission with almost the same weights, and how that was seen.

    Who of the two is the original follows from the priorities; the other may be long replaced, so
    that all that is needed to tell stands here.
    """

    submission_id: SubmissionId
    hotkey: Address
    coldkey: Address
    priority_block: Block
    pinned_block: Block
    evidence: str = Field(min_length=1, max_length=1_000)


class Standing(Published):
    """One submission in one round. ``result`` is None while it is unscored or when it failed."""

    submission_id: SubmissionId
    hotkey: Address
    coldkey: Address
    repository: Repository
    evidence: ChainEvidence
    pinned_block: Block
    committed_digest: Hex64 | None = Field(description="Weights digest in the commitment.")
    weights_digest: Hex64 | None = Field(description="As measured; None: never loaded.")
    superseded_block: Block | None = Field(
        default=None,
        description="Where its hotkey first committed something else after it.",
    )
    near_copies: tuple[NearCopy, ...] = Field(default=(), max_length=MAX_NEAR_COPIES)
    state: State = "counts"
    reason: str = Field(default="", max_length=1_000)
    result: RoundResult | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Standing:
        if self.state != "counts" and not self.reason:
            raise ValueError(f"submission {self.submission_id} is {self.state} without a reason")
        if self.state == "held" and not self.near_copies:
            raise ValueError(f"submission {self.submission_id} is held without evidence")
        if self.superseded_block is not None and self.superseded_block < self.evidence.block:
            raise ValueError(f"submission {self.submission_id} is superseded before it was made")
        return self

    @property
    def priority_block(self) -> int:
        """The block from which the submission counts as made.

        That of its commitment, when it carries the digest of the weights that were measured: they
        existed then. Otherwise that at which the revision was pinned: before, the repository could
        still be filled with anything.
        """
        if self.committed_digest is None or self.committed_digest != self.weights_digest:
            return self.pinned_block
        if self.evidence.sealed_block is not None:
            return self.evidence.sealed_block
        return self.evidence.block


class PreviousRound(Published):
    """The snapshot published before."""

    number: RoundNumber
    digest: Hex64


class RoundSnapshot(Published):
    """One closed round. Standings are kept in the order of their ids, however they are given."""

    snapshot: Literal[1] = 1
    competition_id: str = Field(min_length=1, max_length=64)
    number: RoundNumber
    start_block: Block
    seed_block: Block
    seed_block_hash: BlockHash
    seed: Hex64
    closed_block: Block
    protocol_digest: Hex64
    prompts_digest: Hex64
    previous: PreviousRound | None
    standings: tuple[Standing, ...] = Field(max_length=MAX_STANDINGS)

    @field_validator("standings")
    @classmethod
    def _ordered(cls, standings: tuple[Standing, ...]) -> tuple[Standing, ...]:
        ordered = tuple(sorted(standings, key=lambda standing: standing.submission_id))
        if len({standing.submission_id for standing in ordered}) != len(ordered):
            raise ValueError("a submission stands in the round twice")
        return ordered

    @model_validator(mode="after")
    def _consistent(self) -> RoundSnapshot:
        if not self.start_block <= self.seed_block <= self.closed_block:
            raise ValueError("start, seed and close of the round are not in this order")
        seed = round_seed(self.competition_id, self.number, self.seed_block_hash)
        if self.seed != seed:
            raise ValueError(f"the seed is {self.seed}, but the block hash gives {seed}")
        if self.previous is not None and self.previous.number >= self.number:
            raise ValueError(f"round {self.previous.number} cannot come before {self.number}")
        late = [s.submission_id for s in self.standings if s.pinned_block >= self.start_block]
        if late:
            raise ValueError(f"submissions {late} were pinned after the round had started")
        counts = {len(s.result.prompt_scores) for s in self.standings if s.result} - {0}
        if len(counts) > 1:
            raise ValueError(f"prompt scores of one round differ in number: {sorted(counts)}")
        return self

    @property
    def canonical(self) -> bytes:
        """The one JSON text of this snapshot: sorted keys, no spaces, ASCII."""
        content = self.model_dump(mode="json")
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @property
    def digest(self) -> str:
        """sha256 of the canonical bytes, in hexadecimal."""
        return hashlib.sha256(self.canonical).hexdigest()


class Participant(Published):
    """A registered hotkey as the chain has it now. ``commitment`` is None where it is sealed."""

    hotkey: Address
    coldkey: Address
    commitment_block: Block | None = None
    commitment: str | None = Field(default=None, max_length=4_096)


class Explanation(Published):
    """What became of one submission of the newest round, in words and opponents."""

    submission_id: SubmissionId
    hotkey: Address
    verdict: Verdict
    reason: str
    lost_to: tuple[SubmissionId, ...] = ()


class Share(Published):
    """What one hotkey gets. ``units`` of ``WEIGHT_UNITS``; ``win_rate`` is of the newest round."""

    hotkey: Address
    win_rate: Unit | None
    units: int = Field(ge=0, le=WEIGHT_UNITS)
    weight: Unit


class Weights(Published):
    """Everybody's part, by decreasing weight. Units of shares and burn sum to ``WEIGHT_UNITS``."""

    competition_id: str
    block: Block
    rounds: tuple[PreviousRound, ...] = Field(description="The snapshots used, oldest first.")
    shares: tuple[Share, ...]
    burned_units: int = Field(ge=0, le=WEIGHT_UNITS)
    explanations: tuple[Explanation, ...]
