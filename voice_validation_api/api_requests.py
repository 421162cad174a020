"""What callers send, parsed once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from utilities.model_reference import (
    ModelReference,
    SubmissionHash,
    check_competition,
    check_config_template,
    check_hotkey,
    check_repository_name,
    check_revision,
    check_weights_digest,
)
from voice_validation_api.records import ChainEvidence, MinerboardEntry

MAX_BLOCK = 2**53
"""Far beyond any chain's height, and exact in every JSON reader."""
MAX_JSON_DEPTH = 32
MAX_MINERS = 4_096
MAX_DETAILS_CHARS = 8_192
"""Of one miner, as JSON: the board shows a thousand at once."""

EXAMPLE_HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"


def _as_text(value: object) -> object:
    # Older clients send the hash as a number.
    return str(value) if type(value) is int and value.bit_length() <= 64 else value


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [value]
    for _ in range(MAX_JSON_DEPTH):
        children: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                children += item.values()
            elif isinstance(item, list):
                children += item
        if not children:
            return value
        level = children
    raise ValueError(f"nested deeper than {MAX_JSON_DEPTH} levels")


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value)) > MAX_DETAILS_CHARS:
        raise ValueError(f"longer than {MAX_DETAILS_CHARS} characters of JSON")
    return value


HashText = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[0-9]{1,20}$")]
ShallowObject = Annotated[dict[str, Any], AfterValidator(_shallow)]
_SmallObject = Annotated[ShallowObject, AfterValidator(_small)]
_Uid = Annotated[int, Field(ge=0, le=65_535)]
_Block = Annotated[int, Field(ge=0, le=MAX_BLOCK)]


class ModelQuery(BaseModel):
    """Names a model as a commitment does. ``hash`` is the check value over the names."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    hash: HashText = Field(examples=["9786973264116866672"])
    repo_namespace: str = Field(min_length=1, max_length=96, examples=["parler-tts"])
    repo_name: str = Field(min_length=1, max_length=96, examples=["parler-tts-mini-v1"])
    config_template: str = Field(
        default="default",
        max_length=64,
        validation_alias=AliasChoices("config_template", "chat_template_type"),
        description="Older clients call it chat_template_type.",
    )
    competition_id: str = Field(default="tts", max_length=64)
    hotkey: str = Field(min_length=1, max_length=64, examples=[EXAMPLE_HOTKEY])

    def reference(self) -> ModelReference:
        """The reference that the fields make. Raises InvalidReferenceError."""
        check_repository_name(self.repo_namespace, self.repo_name)
        return ModelReference(
            namespace=self.repo_namespace,
            name=self.repo_name,
            config_template=check_config_template(self.config_template),
            hotkey=check_hotkey(self.hotkey),
            submission_hash=SubmissionHash(self.hash),
            competition_id=check_competition(self.competition_id),
        )


class SubmissionRequest(ModelQuery):
    """A submission as its miner committed it at ``block``.

    Without a revision the newest commit of the repository is pinned when the submission is first
    seen.
    """

    block: _Block = Field(examples=[4_200_000])
    revision: str | None = Field(default=None, max_length=64, examples=["ab" * 20])
    weights_digest: str | None = Field(
        default=None, max_length=64, description="The digest that the commitment carries, if any."
    )
    commitment: str | None = Field(
        default=None,
        min_length=1,
        max_length=780,
        description="What was committed, as the chain holds it. Rounds take those with evidence.",
    )
    block_hash: str | None = Field(default=None, pattern=r"^0x[0-9a-f]{64}$")
    sealed_block: _Block | None = Field(
        default=None, description="Where the commitment appeared sealed, if it did."
    )

    @model_validator(mode="after")
    def _sealed_before(self) -> SubmissionRequest:
        if self.sealed_block is not None and self.sealed_block > self.block:
            raise ValueError("sealed_block comes after block, in which it was revealed")
        return self

    @property
    def evidence(self) -> ChainEvidence:
        """Where anybody can read the commitment."""
        return ChainEvidence(
            block=self.block,
            block_hash=self.block_hash,
            commitment=self.commitment,
            sealed_block=self.sealed_block,
        )

    def reference(self) -> ModelReference:
        """The reference that the fields make. Raises InvalidReferenceError."""
        revision, digest = self.revision, self.weights_digest
        return replace(
            super().reference(),
            revision=None if revision is None else check_revision(revision),
            weights_digest=None if digest is None else check_weights_digest(digest),
        )


class MinerboardMiner(BaseModel):
    """One miner on the operator's list."""

    uid: _Uid
    hotkey: str = Field(min_length=1, max_length=64, examples=[EXAMPLE_HOTKEY])
    hash: HashText | None = None
    block: _Block | None = None
    details: _SmallObject = Field(default_factory=dict)

    def entry(self, competition_id: str) -> MinerboardEntry:
        """The record that is stored."""
        return MinerboardEntry(
            competition_id=competition_id,
            uid=self.uid,
            hotkey=self.hotkey,
            submission_hash=self.hash,
            block=self.block,
            details=self.details,
        )


class OneMiner(MinerboardMiner):
    """Sets one miner's entry and leaves the others as they are."""

    competition_id: str = Field(default="tts", max_length=64)


class AllMiners(BaseModel):
    """Replaces the whole list of a competition."""

    competition_id: str = Field(default="tts", max_length=64)
    entries: tuple[MinerboardMiner, ...] = Field(max_length=MAX_MINERS)


def _form(value: Any) -> str:
    return "all" if isinstance(value, dict) and "entries" in value else "one"


MinerboardUpdate = Annotated[
    Annotated[OneMiner, Tag("one")] | Annotated[AllMiners, Tag("all")], Discriminator(_form)
]


class EventReport(BaseModel):
    """Something that a validator saw. Who reports may stand here or in the headers."""

    commit: str | None = Field(default=None, max_length=64)
    btversion: str | None = Field(default=None, max_length=64)
    uid: str | int | None = None
    hotkey: str | None = Field(default=None, max_length=64)
    coldkey: str | None = Field(default=None, max_length=64)
    payload: ShallowObject = Field(examples=[{"event": "weights_set", "block": 4_200_000}])
    signature: ShallowObject = Field(default_factory=dict)
