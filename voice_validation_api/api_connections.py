"""Connections that may not linger: the server's own limits end where a request begins.

uvicorn closes a kept-alive connection that stays silent, but not one that never sends a request,
sends its head a byte at a time, or does not read its answer; and its limit on concurrency answers
503 to everybody while such connections are open. Here they are closed instead.
"""

from __future__ import annotations

import asyncio
import json
import resource
from collections import OrderedDict
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 10.0
MESSAGE_SECONDS: Final = 40.0
"""For a head and its body together; longer than a body may take to be read."""
WRITE_SECONDS: Final = 15.0
"""Without a byte of room for more of the answer."""
MAX_HEAD_BYTES: Final = 64 * 1_024
MAX_PIPELINED: Final = 16
_OTHER_FILES: Final = 200


def connections_that_fit(wanted: int) -> int:
    """``wanted``, or as many connections as this process may have files open, which is raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - _OTHER_FILES, soft // 2)
    return wanted


class Connections:
    """The connections of one server; makes its protocol."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._without_request: OrderedDict[GuardedProtocol, None] = OrderedDict()

    def __call__(self, **server: Any) -> GuardedProtocol:
        """The protocol of one new connection."""
        return GuardedProtocol(self, **server)

    def entered(self, protocol: GuardedProtocol, count: int) -> None:
        """One more, ``count`` in all. Beyond the limit the one that waits for longest goes."""
        self._without_request[protocol] = None
        if count > self._limit:
            oldest, _ = self._without_request.popitem(last=False)
            oldest.transport.abort()

    def left(self, protocol: GuardedProtocol) -> None:
        """It has sent a request, or has gone."""
        self._without_request.pop(protocol, None)


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with time limits on the request's head, on its whole, and on reading the answer."""

    def __init__(self, others: Connections, **server: Any) -> None:
        super().__init__(**server)
        self._others = others
        self._receiving: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._others.entered(self, len(self.connections))
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        self._others.left(self)
        self._stop_receiving()
        self._stop_writing()

    def data_received(self, data: bytes) -> None:
        """Feed the parser and see how far the request has come."""
        if self._receiving is None:
            self._expect_head()
        # As uvicorn does, but without a line in the log for each: strangers could fill the disk.
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # Nothing is offered, and the request is answered as any other.
        except httptools.HttpParserError:
            self._refuse(400, "BAD_REQUEST", "what was sent is no HTTP request")
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, "HEAD_TOO_LARGE", "the request's headers are too large")
        elif len(self.pipeline) > MAX_PIPELINED:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """The first byte of a request, maybe in the data that ended another."""
        super().on_message_begin()
        if self._receiving is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is there: the request will be answered."""
        self._in_head = False
        self._others.left(self)
        self._limit_receiving(MESSAGE_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of the request is there."""
        super().on_message_complete()
        self._stop_receiving()

    def shutdown(self) -> None:
        """The server stops. An answer without an end (``request.state.endless``) ends now."""
        super().shutdown()
        if self.cycle is not None and self.scope["state"].get("endless"):
            self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read, or not fast enough."""
        super().pause_writing()
        self._writing = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._stop_writing()

    def _expect_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._limit_receiving(HEAD_SECONDS)

    def _limit_receiving(self, seconds: float) -> None:
        self._stop_receiving()
        self._receiving = self.loop.call_later(seconds, self.transport.abort)

    def _stop_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _refuse(self, status: int, code: str, message: str) -> None:
        error = {"code": code, "message": message, "remedy": "Send HTTP/1.1 with a small head."}
        body = json.dumps({"error": error}).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"x-content-type-options: nosniff\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
