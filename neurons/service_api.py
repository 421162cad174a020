"""The validation API as the programs on chain call it: bounded in bytes and time, typed errors."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from utilities.errors import SubnetError

MAX_ANSWER_BYTES: Final = 64 * 1_024 * 1_024
TIMEOUT_SECONDS: Final = 30.0
"""For connecting and for every read."""
ANSWER_SECONDS: Final = 120.0
"""For a whole answer, however steadily it trickles."""

_SAY_LATER: Final = frozenset({408, 425, 429})
_MAX_MESSAGE_CHARS: Final = 500

_Shape = TypeVar("_Shape")


class ServiceError(SubnetError):
    """The validation API does not do, or does not show, what was asked for."""


class ServiceUnavailableError(ServiceError):
    """It does not answer, or says that it cannot now."""

    code: ClassVar[str] = "API_UNAVAILABLE"
    transient: ClassVar[bool] = True


class ServiceRefusedError(ServiceError):
    """It refuses the request. ``status`` is that of HTTP, ``reason`` the API's own code."""

    code: ClassVar[str] = "API_REFUSED"

    def __init__(self, status: int, reason: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.status, self.reason = status, reason


class ServiceAnswerError(ServiceError):
    """Its answer is not what such an API answers."""

    code: ClassVar[str] = "API_ANSWER_WRONG"


class ServiceApi:
    """One validation API. Every method raises ``ServiceError``."""

    def __init__(self, url: str) -> None:
        """``url`` has no slash at its end."""
        self.url: Final = url
        self._client = httpx2.Client(base_url=url, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def get(self, path: str, shape: type[_Shape], **params: str | int) -> _Shape:
        """What ``GET path`` answers, parsed as ``shape``."""
        return _parsed(self._ask("GET", path, params=params), shape, f"GET {self.url}{path}")

    def read(self, path: str, *, max_bytes: int, **params: str | int) -> bytes:
        """The bytes that ``GET path`` answers."""
        return self._ask("GET", path, max_bytes=max_bytes, params=params)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        """``POST`` a body of JSON."""
        self._post(path, body, headers)

    def post_for(
        self, path: str, shape: type[_Shape], body: bytes, headers: Mapping[str, str]
    ) -> _Shape:
        """What ``POST path`` of a body of JSON answers, parsed as ``shape``."""
        return _parsed(self._post(path, body, headers), shape, f"POST {self.url}{path}")

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        sent = {**headers, "Content-Type": "application/json"}
        return self._ask("POST", path, content=body, headers=sent)

    def _ask(
        self, method: str, path: str, *, max_bytes: int | None = None, **request: Any
    ) -> bytes:
        where = f"{method} {self.url}{path}"
        try:
            with self._client.stream(method, path, **request) as response:
                body = _bounded(response, where, max_bytes or MAX_ANSWER_BYTES)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ServiceUnavailableError(
                f"{where}: {type(error).__name__}: {error}",
                "Try again later. If it lasts, check the address of the API.",
            ) from error
        if response.is_success:
            return body
        raise _refusal(response.status_code, body, where)


def _parsed(body: bytes, shape: type[_Shape], where: str) -> _Shape:
    try:
        return TypeAdapter(shape).validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise ServiceAnswerError(
            f"{where} answers something else: {place}: {first['msg']}"[:_MAX_MESSAGE_CHARS],
            "Check the address of the API, and whether this program is up to date.",
        ) from error


def _bounded(response: httpx2.Response, where: str, max_bytes: int) -> bytes:
    body = bytearray()
    deadline = time.monotonic() + ANSWER_SECONDS
    for chunk in response.iter_bytes():
        body += chunk
        if time.monotonic() > deadline:
            raise ServiceUnavailableError(
                f"{where}: the answer takes longer than {ANSWER_SECONDS:.0f} s",
                "Try again later. If it lasts, look at the network.",
            )
        if len(body) > max_bytes:
            raise ServiceAnswerError(
                f"{where} answers more than {max_bytes:,} bytes",
                "Tell the API's operator, or check its address.",
            )
    return bytes(body)


def _refusal(status: int, body: bytes, where: str) -> ServiceError:
    """The error that an answer other than success means; its body may be anybody's."""
    try:
        told = json.loads(body)["error"]
        reason, message, remedy = (str(told[key]) for key in ("code", "message", "remedy"))
    except (ValueError, RecursionError, KeyError, TypeError):
        reason, message, remedy = "UNKNOWN", "no reason given", "Check the address of the API."
    message = f"{where} answers {status} {reason}: {message}"[:_MAX_MESSAGE_CHARS]
    if status >= 500 or status in _SAY_LATER:
        return ServiceUnavailableError(message, remedy[:_MAX_MESSAGE_CHARS])
    return ServiceRefusedError(status, reason, message, remedy[:_MAX_MESSAGE_CHARS])
