"""Who calls: the operator, by the admin key, and reporters, by their headers."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Header
from fastapi.security import APIKeyHeader
from pydantic import SecretStr

from voice_validation_api.api_errors import ApiError
from voice_validation_api.api_services import ServicesOf
from voice_validation_api.records import Reporter

MAX_HEADER_CHARS = 64
MAX_UID = 2**31 - 1
MAX_UID_DIGITS = 10

_admin_key = APIKeyHeader(
    name="admin-key", auto_error=False, description="The value of the service's ADMIN_KEY."
)


def is_admin_key(configured: Sequence[SecretStr], given: str | None) -> bool:
    """Whether ``given`` is one of the configured keys; it takes as long for any that is not."""
    if given is None:
        return False
    # Every key is compared, whichever fits.
    fits = [
        hmac.compare_digest(key.get_secret_value().encode(), given.encode()) for key in configured
    ]
    return any(fits)


def check_admin_key(configured: Sequence[SecretStr], given: str | None) -> None:
    """Raises ApiError unless ``given`` is a configured key; without one, nobody is admitted."""
    if not configured:
        raise ApiError(
            403,
            "ADMIN_KEY_NOT_CONFIGURED",
            "this service has no admin key, so admin endpoints are closed",
            "The operator sets ADMIN_KEY in the service's environment or .env and restarts it.",
        )
    if not given:
        raise ApiError(
            401,
            "ADMIN_KEY_MISSING",
            "this endpoint needs the admin key",
            "Send it in the header 'admin-key'.",
        )
    if not is_admin_key(configured, given):
        raise ApiError(
            403,
            "ADMIN_KEY_WRONG",
            "the admin key is wrong",
            "Send the value of the service's ADMIN_KEY in the header 'admin-key'.",
        )


def require_admin(
    services: ServicesOf, given: Annotated[str | None, Depends(_admin_key)] = None
) -> None:
    """For endpoints that only the operator may call."""
    check_admin_key(services.settings.admin_keys, given)


_Text = Annotated[str | None, Header(max_length=MAX_HEADER_CHARS)]


def reporter_of(
    git_commit: _Text = None,
    bittensor_version: _Text = None,
    uid: _Text = None,
    hotkey: _Text = None,
    coldkey: _Text = None,
) -> Reporter:
    """Who reports, as the headers say; nothing proves it."""
    uid = _given(uid)
    return Reporter(
        uid=parse_uid(uid) if uid is not None else None,
        hotkey=_given(hotkey),
        coldkey=_given(coldkey),
        git_commit=_given(git_commit),
        bittensor_version=_given(bittensor_version),
    )


ReporterOf = Annotated[Reporter, Depends(reporter_of)]


def parse_uid(text: str) -> int | None:
    """A neuron's number on its subnet, or None where ``text`` is no such number."""
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_UID_DIGITS:
        return None
    return int(text) if int(text) <= MAX_UID else None


def _given(value: str | None) -> str | None:
    # Clients write the text of Python's None where they know nothing.
    return None if value in {None, "", "None"} else value
