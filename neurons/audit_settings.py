"""Settings of a validator's own audits of what the API publishes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from neurons.flags import option


class AuditSettings(BaseSettings):
    """How much is audited, and with what. The recognisers must be those of the service."""

    audit_rate: float = option(
        "--audit_rate",
        0.0,
        explained="The part of the scored submissions of each round that is audited; 0: none.",
        example="0.1",
        ge=0.0,
        le=1.0,
    )
    audit_prompts: int = option(
        "--audit_prompts",
        16,
        explained="So many prompts of a submission are audited.",
        example="16",
        ge=1,
        le=1_000,
    )
    audit_speak: bool = option(
        "--audit_speak",
        False,
        explained="Let the model speak again, too, on the processor. With --device cuda it does.",
        example="True",
    )
    audit_python: Path = option(
        "--audit_python",
        Path(sys.executable),
        explained="The Python with the packages of the extra eval, which audits need.",
        example=".venv/bin/python",
    )
    forget_audits: bool = option(
        "--forget_audits",
        False,
        explained="Forget at the start which audits have failed, and trust the API again.",
        example="",
    )
    audit_seconds: float = Field(
        default=3_600.0,
        gt=0,
        le=86_400,
        validation_alias="AUDIT_SECONDS",
        description="How long the audit of one submission may take.",
    )
    audit_memory_bytes: int | None = Field(
        default=None,
        ge=2**28,
        validation_alias="AUDIT_MEMORY_BYTES",
        description="Memory that an audit may take, by default what its model needs, and at most "
        "three quarters of the machine's.",
    )
    audit_asr_engine: Literal["faster-whisper", "openai-whisper"] = Field(
        default="faster-whisper",
        validation_alias="AUDIT_ASR_ENGINE",
        description="What runs the recogniser.",
    )
    audit_asr_model: str = Field(
        default="packaged",
        min_length=1,
        max_length=1_024,
        validation_alias="AUDIT_ASR_MODEL",
        description="The recogniser of the service: packaged, or a directory.",
    )
    audit_second_asr_model: Path | None = Field(
        default=None,
        validation_alias="AUDIT_SECOND_ASR_MODEL",
        description="The directory of its second recogniser, where it has one.",
    )
    audit_learned_mos_dir: Path | None = Field(
        default=None,
        validation_alias="AUDIT_LEARNED_MOS_DIR",
        description="The directory of its learned opinion predictor, where it has one.",
    )
    audit_base_model_dir: Path | None = Field(
        default=None,
        validation_alias="AUDIT_BASE_MODEL_DIR",
        description="The base model, with whose codec and tokenizers models speak. Without it "
        "they bring their own, as miniatures do.",
    )
    audit_max_seconds: float = Field(
        default=30.0,
        gt=0,
        le=60,
        validation_alias="AUDIT_MAX_SECONDS",
        description="The service's cap on the audio of a prompt.",
    )
