"""The client of the validation API against servers that misbehave in every way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from http_answers import Answer, answering
from pydantic import BaseModel

from neurons import service_api
from neurons.service_api import (
    ServiceAnswerError,
    ServiceApi,
    ServiceError,
    ServiceRefusedError,
    ServiceUnavailableError,
)


class Rows(BaseModel):
    """What these tests ask for."""

    rows: tuple[int, ...]


@contextmanager
def asking(status: int, body: bytes, length: int | None = None) -> Iterator[ServiceApi]:
    """A client of a server that answers everything so."""
    with answering(lambda _: Answer(status, body, length)) as url, closing(ServiceApi(url)) as api:
        yield api


def test_json_comes_back() -> None:
    with asking(200, b'{"rows": [1]}') as api:
        assert api.get("/leaderboard", Rows, limit=1) == Rows(rows=(1,))
        api.post("/telemetry_report", b"{}", {})


REFUSAL = b'{"error": {"code": "TOO_OLD", "message": "too old", "remedy": "Update."}}'


@pytest.mark.parametrize(
    ("status", "body", "error", "match"),
    [
        (200, b"<html>", ServiceAnswerError, "something else"),
        (200, b'{"rows": ["x"]}', ServiceAnswerError, "rows.0: "),
        (200, b"[" * 200_000, ServiceAnswerError, "something else"),
        (200, b"\xff", ServiceAnswerError, "something else"),
        (422, REFUSAL, ServiceRefusedError, "422 TOO_OLD: too old"),
        (404, b"[]", ServiceRefusedError, "404 UNKNOWN"),
        (301, b"", ServiceRefusedError, "301 UNKNOWN"),
        (429, REFUSAL, ServiceUnavailableError, "429"),
        (503, b"<html>", ServiceUnavailableError, "503"),
    ],
)
def test_other_answers_are_typed(
    status: int, body: bytes, error: type[ServiceError], match: str
) -> None:
    with asking(status, body) as api, pytest.raises(error, match=match):
        api.get("/leaderboard", Rows)


def test_an_answer_that_breaks_off_is_no_answer() -> None:
    with asking(200, b'{"rows"', 100) as api, pytest.raises(ServiceUnavailableError):
        api.get("/leaderboard", Rows)


def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_api, "MAX_ANSWER_BYTES", 1_000)
    with asking(200, b"1" * 2_000) as api, pytest.raises(ServiceAnswerError, match="1,000"):
        api.get("/leaderboard", Rows)


def test_a_trickling_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_api, "ANSWER_SECONDS", -1.0)
    with asking(200, b"{}") as api, pytest.raises(ServiceUnavailableError, match="longer"):
        api.get("/leaderboard", Rows)


def test_nobody_there_is_unavailable() -> None:
    api = ServiceApi("http://127.0.0.1:1")
    with pytest.raises(ServiceUnavailableError, match="ConnectError"):
        api.get("/leaderboard", Rows)
