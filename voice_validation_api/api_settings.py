"""Settings of ``validation_api.py``: environment and ``.env``; its flags override them."""

from __future__ import annotations

from pydantic import Field, SecretStr

from voice_validation_api.settings import ServiceSettings


class ApiSettings(ServiceSettings):
    """What the API needs besides what all programs of the service share."""

    main_api_port: int = Field(default=7777, ge=0, le=65_535, validation_alias="MAIN_API_PORT")
    host: str = Field(
        default="127.0.0.1",
        validation_alias="MAIN_API_HOST",
        description="The address to listen on; 0.0.0.0 is every one of this machine.",
    )
    admin_key: SecretStr | None = Field(
        default=None,
        validation_alias="ADMIN_KEY",
        description="What callers of admin endpoints must send. Unset: those are refused.",
    )
    database_connections: int = Field(
        default=10, ge=1, le=100, validation_alias="API_DATABASE_CONNECTIONS"
    )
