"""Settings that several programs share, read from the environment and ``.env``."""

from __future__ import annotations

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class HubSettings(BaseSettings):
    """Which model hub, and as whom. Unset: huggingface_hub's own defaults and saved login."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    endpoint: str | None = Field(default=None, validation_alias="HF_ENDPOINT")
    token: SecretStr | None = Field(default=None, validation_alias="HF_TOKEN")
