"""Bodies that are too long or too slow, without a network between."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from voice_validation_api.api_limits import BodyLimitMiddleware

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the number of bytes that it was given."""
    message = await receive()
    assert not message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(message["body"])).encode()})


def answer(chunks: list[bytes], *, last: bool) -> tuple[int, bytes, dict[bytes, bytes]]:
    """Status, body and headers of the answer to ``chunks``; after them it ends, or never does."""
    sent: list[Message] = []
    pending = list(chunks)

    async def receive() -> Message:
        if not pending:
            await asyncio.Event().wait()
        body = pending.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(pending) or not last}

    async def send(message: Message) -> None:
        sent.append(message)

    app = BodyLimitMiddleware(echo, max_bytes=100, seconds=0.1)
    asyncio.run(asyncio.wait_for(app(SCOPE, receive, send), 20))
    return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


def test_a_body_of_several_parts_arrives_whole() -> None:
    assert answer([b"x" * 50, b"", b"x" * 50], last=True)[:2] == (200, b"100")


@pytest.mark.parametrize("last", [True, False])
def test_one_byte_too_many_is_refused_wherever_the_body_would_end(last: bool) -> None:
    status, body, headers = answer([b"x" * 50, b"x" * 51], last=last)
    assert (status, b"BODY_TOO_LARGE" in body) == (413, True)
    assert headers[b"connection"] == b"close"


def test_a_body_that_does_not_end_is_given_up() -> None:
    status, body, headers = answer([b"x"], last=False)
    assert (status, b"BODY_TOO_SLOW" in body) == (408, True)
    assert headers[b"connection"] == b"close"
