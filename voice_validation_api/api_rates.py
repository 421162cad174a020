"""Every caller gets a share: by address, and a larger one with the admin key."""

from __future__ import annotations

import time
from collections import Counter
from functools import lru_cache
from ipaddress import IPv4Address, ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from voice_validation_api.api_errors import TooManyRequestsError, api_error_response
from voice_validation_api.api_settings import ApiSettings
from voice_validation_api.auth import is_admin_key
from voice_validation_api.rates import RateLimiter

AT_ONCE_RETRY_SECONDS = 1.0


class RateLimitMiddleware:
    """Answers 429 to callers that come too often, or have too many requests in progress.

    Bodies of what it refuses are not read.
    """

    def __init__(self, app: ASGIApp, *, settings: ApiSettings) -> None:
        self._app = app
        self._admin_keys = settings.admin_keys
        self._rates = RateLimiter(settings.requests_per_second)
        self._generous_rates = RateLimiter(settings.admin_requests_per_second)
        self._max_at_once = settings.requests_at_once
        self._at_once: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = address_of(scope)
        given = Headers(scope=scope).get("admin-key")
        try:
            if scope["path"] == "/hc":
                _check(self._generous_rates, caller)
            elif is_admin_key(self._admin_keys, given):
                _check(self._generous_rates, "admin")
            else:
                _check(self._rates, caller)
                await self._one_of_several(caller, scope, receive, send)
                return
        except TooManyRequestsError as error:
            await api_error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _one_of_several(
        self, caller: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._at_once[caller] >= self._max_at_once:
            raise TooManyRequestsError(AT_ONCE_RETRY_SECONDS)
        self._at_once[caller] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._at_once[caller] -= 1
            if not self._at_once[caller]:
                del self._at_once[caller]


def _check(rates: RateLimiter, caller: str) -> None:
    wait = rates.seconds_to_wait(caller, time.monotonic())
    if wait:
        raise TooManyRequestsError(wait)


def address_of(scope: Scope) -> str:
    """Who calls: an IPv4 address, or the /64 network of an IPv6 one, which is one household."""
    client = scope.get("client")
    return _canonical(client[0]) if client else "unknown"


@lru_cache(maxsize=4_096)
def _canonical(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:  # What a proxy wrote, or a local socket.
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or address.packed[:8].hex())
