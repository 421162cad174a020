"""What a validator asks an audit, and what the audit answers.

Like ``scoring/contract.py`` this needs pydantic only: the validator has no speech packages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from scoring.competition.records import RoundResult
from scoring.contract import (
    AsrSpec,
    CtcSpec,
    Hex64,
    LearnedMosSpec,
    ParlerModel,
    Record,
    SeededPrompts,
    Unit,
    WordErrors,
)

REPORT_NAME: Final = "report.json"
MAX_FINDINGS: Final = 20
MAX_COMPONENTS: Final = 256

_MEMORY_WORDS: Final = (
    "allocate memory",
    "allocation failed",
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "failed to map segment",
    "memory allocation",
    "memoryerror",
    "out of memory",
    "pthread_create failed",
    "start new thread",
    "thread creation failed",
    "unable to allocate",
)

Shown = Annotated[str, Field(max_length=300)]


class PublishedSample(BaseModel):
    """What the API published about one prompt; what else it says is not used."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    prompt_index: int = Field(ge=0)
    outcome: Literal["scored", "unscored"]
    audio_digest: Hex64 | None = None
    seconds: float | None = Field(default=None, ge=0)
    truncated: bool = False
    errors: WordErrors | None = None
    wer: float | None = Field(default=None, ge=0)
    human_likeness: Unit | None = None
    score: Unit | None = None
    components: dict[str, float] = Field(default_factory=dict, max_length=MAX_COMPONENTS)


class AuditRequest(Record):
    """One submission of a signed round, and what the API published behind its result.

    ``result`` and both digests are the signed ones. ``protocol`` is what has ``protocol_digest``,
    perhaps with the fields of another release; None: the API does not say.

    ``samples`` are those of all prompts, in order.
    ``clips`` has a file for each prompt that is to be scored again, by the prompt's index. With
    ``model`` these prompts are also spoken again, by the model at the published revision, whose
    weights must have ``weights_digest``.
    """

    prompts: SeededPrompts
    prompts_digest: Hex64
    protocol_digest: Hex64
    protocol: dict[str, JsonValue] | None = None
    result: RoundResult
    samples: tuple[PublishedSample, ...] = Field(min_length=1)
    clips: dict[int, Path] = Field(min_length=1)
    model: ParlerModel | None = None
    weights_digest: Hex64 | None = None
    asr: AsrSpec
    second_asr: CtcSpec | None = None
    learned_mos: LearnedMosSpec | None = None
    device: str = Field(pattern=r"^(cpu|cuda(:\d+)?)$")
    max_seconds: float = Field(gt=0.0, le=60.0)


class Finding(Record):
    """One figure at which what was published and what was found disagree."""

    where: Shown
    published: Shown
    found: Shown
    allowed: Shown


class AuditReport(Record):
    """``failed``: the findings say where. ``unable``: nothing is known, for a reason of ours.

    Where that reason is another protocol, the findings say in which parts. ``lacks`` is what the
    auditor's machine had too little of.
    """

    verdict: Literal["passed", "failed", "unable"]
    message: str = Field(max_length=2_000)
    lacks: Literal["memory"] | None = None
    findings: tuple[Finding, ...] = Field(default=(), max_length=MAX_FINDINGS)


def tells_of_memory(text: str) -> bool:
    """Whether ``text``, of some package or of the system, says that memory ran out.

    A thread cannot be made where its stack finds no room.
    """
    lowered = text.lower()
    return any(words in lowered for words in _MEMORY_WORDS)
