"""Settings of the service's programs: environment and ``.env``, one class per program."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from utilities.logs import LogFormat
from utilities.round_signers import SignersText


def wrong_settings(error: ValidationError) -> str:
    """What is wrong with a program's settings, a line each."""
    lines = [
        f"wrong setting {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}\n"
        for problem in error.errors()
    ]
    return "".join(lines)


class ServiceSettings(BaseSettings):
    """What the API and the workers share."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    postgres_url: SecretStr | None = Field(
        default=None,
        validation_alias="POSTGRES_URL",
        description="Any Postgres from version 13. Unset: an embedded one below var_dir.",
    )
    postgres_wait_seconds: float = Field(
        default=60.0,
        ge=0,
        validation_alias="POSTGRES_WAIT_SECONDS",
        description="How long to wait at the start for a Postgres that does not answer.",
    )
    var_dir: Path = Field(
        default=Path("var"), validation_alias="VAR_DIR", description="Everything that is written."
    )
    hub_endpoint: str | None = Field(
        default=None, validation_alias="HF_ENDPOINT", description="The model hub."
    )
    hub_token: SecretStr | None = Field(default=None, validation_alias="HF_TOKEN")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", validation_alias="LOG_LEVEL"
    )
    log_format: LogFormat = Field(
        default="text", validation_alias="LOG_FORMAT", description="text, or json: one per line."
    )
    audio_store: str | None = Field(
        default=None,
        validation_alias="AUDIO_STORE",
        description="A directory, or s3://bucket/prefix, that the API and all workers share. "
        "Unset: audio below var_dir.",
    )


class WorkerSettings(ServiceSettings):
    """Settings of ``worker_queue.py``. Its flags override them."""

    model_config = SettingsConfigDict(env_prefix="WORKER_")

    queues: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Evaluations at the same time. Unset: one per GPU, or one.",
    )
    gpu_ids: str = Field(
        default="",
        pattern=r"^(\d+(,\d+)*)?$",
        description="GPUs by number, one per queue, such as 0,1. Empty: CPU.",
    )
    launcher: Literal["auto", "process", "docker"] = "auto"
    drain: bool = Field(default=False, description="Exit when nothing is left to claim.")
    calibration: bool = Field(default=True, description="Score the reference voices when idle.")

    base_model_dir: Path | None = Field(
        default=None,
        description="The base model, from which tokenizers, codec and generation settings come. "
        "Unset: submissions bring their own, as miniatures must.",
    )
    prompt_seed: str = Field(default="open", min_length=1, max_length=256)
    prompt_count: int = Field(default=20, ge=1, le=10_000)
    asr_engine: Literal["faster-whisper", "openai-whisper"] = "faster-whisper"
    asr_model: str = Field(default="packaged", min_length=1, max_length=1_024)
    second_asr_model: Path | None = Field(
        default=None,
        description="A CTC checkpoint (wav2vec 2.0, HuBERT) that listens too; unset: none does.",
    )
    learned_mos_dir: Path | None = Field(
        default=None, description="A learned opinion predictor that joins; unset: none does."
    )
    max_seconds: float = Field(default=30.0, gt=0, le=60, description="Audio cap per prompt.")

    lease: timedelta = Field(default=timedelta(seconds=60), ge=timedelta(seconds=1))
    poll: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0))
    grace: timedelta = Field(
        default=timedelta(seconds=30),
        ge=timedelta(0),
        description="How long an evaluation may go on after SIGTERM before it is handed back.",
    )
    wall_seconds: float = Field(
        default=3_600.0,
        gt=0,
        description="Limit per evaluation; less where canary_dir tells what this machine needs.",
    )
    wall_factor: float = Field(
        default=10.0,
        ge=1,
        description="An evaluation may take this many times as long as the base model would.",
    )
    wall_floor_seconds: float = Field(default=300.0, gt=0, description="No limit is shorter.")
    canary: bool = Field(
        default=True, description="Score a fixed model at the start and every canary_interval."
    )
    canary_dir: Path | None = Field(
        default=None,
        description="The checkpoint that is the canary, best the base model; unset: a voice that "
        "needs no GPU.",
    )
    canary_interval: timedelta = Field(default=timedelta(days=1), gt=timedelta(0))
    canary_tolerance: float = Field(
        default=0.03,
        gt=0,
        le=1,
        description="What score, WER and human likeness of the canary may differ by: what a "
        "repetition elsewhere may (scoring/comparison.py).",
    )
    memory_bytes: int | None = Field(
        default=None, ge=2**28, description="Address space of an evaluation; unset: no limit."
    )
    max_repository_bytes: int = Field(default=18 * 10**9, gt=0)
    cache_bytes: int = Field(
        default=50 * 10**9,
        ge=0,
        description="Downloaded models are kept up to here; the ones in use always.",
    )
    min_free_bytes: int = Field(
        default=2 * 10**9,
        ge=0,
        description="With less than this free on the disk of var_dir, models are removed from the "
        "cache, and if that is not enough nothing is claimed until a quarter more is free.",
    )

    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        description="Where Prometheus reads GET /metrics; unset: nowhere.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="Who can reach that address can read the metrics: no key is asked for.",
    )

    @field_validator("gpu_ids")
    @classmethod
    def _one_gpu_per_queue(cls, gpu_ids: str, info: ValidationInfo) -> str:
        gpus, queues = _numbers(gpu_ids), info.data.get("queues")
        if len(set(gpus)) < len(gpus):
            raise ValueError(f"{gpu_ids} names a GPU twice: each queue needs one of its own")
        if gpus and queues is not None and queues > len(gpus):
            raise ValueError(
                f"{queues} queues cannot share {len(gpus)} GPUs: name more GPUs or ask for fewer "
                "queues"
            )
        return gpu_ids

    @property
    def gpus(self) -> tuple[int, ...]:
        """The GPUs by number; none means the processor."""
        return _numbers(self.gpu_ids)

    @property
    def queue_count(self) -> int:
        """Evaluations at the same time."""
        return self.queues or max(1, len(self.gpus))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


class KeeperSettings(ServiceSettings):
    """Settings of ``round_keeper.py``. Its flags override them."""

    model_config = SettingsConfigDict(env_prefix="KEEPER_")

    netuid: int = Field(default=231, ge=0, le=65_535)
    endpoint: str = Field(
        default="finney",
        min_length=1,
        description="A network that the SDK knows, or the ws:// address of a node.",
    )
    wallet_name: str = Field(default="default", min_length=1)
    wallet_hotkey: str = Field(default="default", min_length=1)
    wallet_path: Path = Path("~/.bittensor/wallets")
    round_signers: SignersText | None = Field(
        default=None,
        validation_alias="ROUND_SIGNERS",
        description="The hotkeys that sign rounds, and from which round on each does. Rounds of "
        "others than the wallet's are left to another keeper. Unset: the wallet's signs all.",
    )
    poll_seconds: float = Field(default=12.0, gt=0, description="A block's time.")
