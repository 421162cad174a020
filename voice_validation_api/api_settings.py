"""Settings of ``validation_api.py``: environment and ``.env``; its flags override them."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from utilities.round_signers import SignersText
from utilities.ss58 import is_ss58
from voice_validation_api.settings import ServiceSettings


def _hotkey(text: str) -> str:
    if not is_ss58(text):
        raise ValueError("not an ss58 address of the chain")
    return text


def _networks(text: str) -> str:
    for part in text.split(","):
        ip_network(part.strip())
    return text


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
    admin_key_previous: SecretStr | None = Field(
        default=None,
        validation_alias="ADMIN_KEY_PREVIOUS",
        description="The key before this one, accepted too while callers change over.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65_535,
        validation_alias="API_METRICS_PORT",
        description="Where Prometheus reads GET /metrics; unset: nowhere.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        validation_alias="API_METRICS_HOST",
        description="Who can reach that address can read the metrics: no key is asked for.",
    )
    database_connections: int = Field(
        default=10, ge=1, le=100, validation_alias="API_DATABASE_CONNECTIONS"
    )
    hotkey: Annotated[str, AfterValidator(_hotkey)] | None = Field(
        default=None,
        validation_alias="API_HOTKEY",
        description="The service's own ss58 address, for which reports are signed. It needs no "
        "key: nothing is signed with it. Unset: signed reports are refused.",
    )
    round_signers: SignersText | None = Field(
        default=None,
        validation_alias="ROUND_SIGNERS",
        description="The hotkeys that sign rounds, as /hc names them to validators. Unset: the "
        "service's own.",
    )
    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        default="127.0.0.1",
        validation_alias="API_TRUSTED_PROXIES",
        description="Addresses and networks, with commas between, whose X-Forwarded-For is "
        "believed. Without it everyone behind a proxy shares the proxy's limits.",
    )
    requests_per_second: float = Field(
        default=20.0,
        gt=0,
        validation_alias="API_REQUESTS_PER_SECOND",
        description="How many requests of one address are answered, in each process; ten "
        "seconds' worth at once.",
    )
    admin_requests_per_second: float = Field(
        default=200.0,
        gt=0,
        validation_alias="API_ADMIN_REQUESTS_PER_SECOND",
        description="The same with the admin key; and for /hc, by address.",
    )
    reports_per_second: float = Field(
        default=2.0,
        gt=0,
        validation_alias="API_REPORTS_PER_SECOND",
        description="The same for the signed reports of one hotkey.",
    )
    requests_at_once: int = Field(
        default=64,
        ge=1,
        validation_alias="API_REQUESTS_AT_ONCE",
        description="How many requests of one address may be in progress.",
    )
    max_connections: int = Field(
        default=4_000,
        ge=10,
        validation_alias="API_MAX_CONNECTIONS",
        description="At that many the connection that has sent nothing for longest is closed.",
    )
    board_seconds: float = Field(
        default=1.0,
        ge=0,
        le=10,
        validation_alias="API_BOARD_SECONDS",
        description="How often at most a board is made from the database; it is shown until it "
        "is twice as old. 0: for every request.",
    )

    @property
    def admin_keys(self) -> tuple[SecretStr, ...]:
        """What opens admin endpoints; nothing without an ``admin_key``."""
        if self.admin_key is None:
            return ()
        return tuple(key for key in (self.admin_key, self.admin_key_previous) if key is not None)
