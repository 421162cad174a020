"""Bodies are read before anything looks at them: at most so many bytes, within so many seconds."""

from __future__ import annotations

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voice_validation_api.api_errors import error_response

MAX_BODY_BYTES = 256 * 1_024
BODY_SECONDS = 30.0
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyTooLargeError(Exception):
    """More bytes than are allowed."""


class BodyLimitMiddleware:
    """Answers 413 to bodies above ``max_bytes``, streamed ones too, and 408 to slow ones."""

    def __init__(
        self, app: ASGIApp, *, max_bytes: int = MAX_BODY_BYTES, seconds: float = BODY_SECONDS
    ) -> None:
        self._app, self._max_bytes, self._seconds = app, max_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        try:
            with anyio.fail_after(self._seconds):
                message = await self._read(scope, receive)
        except BodyTooLargeError:
            await self._refuse(413, "BODY_TOO_LARGE", scope, receive, send)
            return
        except TimeoutError:
            await self._refuse(408, "BODY_TOO_SLOW", scope, receive, send)
            return
        await self._app(scope, _replay(message, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> Message:
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > self._max_bytes):
            raise BodyTooLargeError
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                raise BodyTooLargeError
            if not message.get("more_body", False):
                return {"type": "http.request", "body": bytes(body), "more_body": False}

    async def _refuse(
        self, status: int, code: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        response = error_response(
            status,
            code,
            f"a body may have {self._max_bytes:,} bytes and take {self._seconds:.0f} seconds",
            "Send less, or faster.",
            # What is still on its way is not read.
            {"Connection": "close"},
        )
        await response(scope, receive, send)


def _replay(first: Message, receive: Receive) -> Receive:
    pending = [first]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
