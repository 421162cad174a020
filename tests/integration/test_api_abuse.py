"""Clients that mean harm, against the API as a process: they are cut off, others are answered."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest
from service_helpers import fresh_database, new_submission, wait_until
from service_processes import ADMIN_KEY, RunningApi, running_api

from voice_validation_api.api_connections import HEAD_SECONDS, MAX_HEAD_BYTES, WRITE_SECONDS
from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.store import Store

CONNECTIONS = 1_000
HEAD = b"GET /hc HTTP/1.1\r\nHost: x\r\n"
ANSWER_SECONDS = 1.0


@pytest.fixture
def environment(dsn: str, tmp_path: Path) -> dict[str, str]:
    return {
        "POSTGRES_URL": dsn,
        "VAR_DIR": str(tmp_path),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "ADMIN_KEY": ADMIN_KEY,
    }


@pytest.fixture(scope="module")
def api(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    place = tmp_path_factory.mktemp("abuse")
    with fresh_database(server, template) as dsn:
        environment = {
            "POSTGRES_URL": dsn,
            "VAR_DIR": str(place),
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "ADMIN_KEY": ADMIN_KEY,
        }
        with running_api(environment, place / "log") as running:
            yield running


def answers_soon(api: RunningApi) -> None:
    """Some try to ask for the health within a second succeeds; a busy machine may need several."""

    def answered() -> bool:
        try:
            # Not over a connection that was there before.
            return httpx2.get(f"{api.client.base_url}/hc", timeout=ANSWER_SECONDS).is_success
        except httpx2.TransportError:
            return False

    wait_until(answered, 20)


@contextmanager
def connections(api: RunningApi, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that have sent ``sent`` and go on doing nothing."""
    url = api.client.base_url
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = socket.create_connection((url.host, url.port), timeout=20)
            stack.enter_context(connection)
            connection.sendall(sent)
            opened.append(connection)
        yield opened


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(65_536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.fixture
def open_files() -> Iterator[None]:
    """Room for the connections' other ends, which are this process's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_a_thousand_idle_and_a_thousand_slow_connections_stop_nobody_and_are_closed(
    environment: dict[str, str], tmp_path: Path, open_files: None
) -> None:
    with (
        running_api(environment, tmp_path / "log") as api,
        connections(api, CONNECTIONS) as idle,
        connections(api, CONNECTIONS, HEAD) as slow,
    ):
        answers_soon(api)
        began = time.monotonic()
        waiting = [*idle, *slow]

        def drip() -> bool:
            for connection in slow[::50]:
                if not is_closed(connection):
                    connection.sendall(b"X: y\r\n")
            answers_soon(api)
            waiting[:] = [connection for connection in waiting if not is_closed(connection)]
            return not waiting

        wait_until(drip, 10 * HEAD_SECONDS, pause=0.5)
        assert time.monotonic() - began > HEAD_SECONDS / 2  # An honest slow client has its time.
        assert "Traceback" not in api.log


def test_beyond_the_limit_the_connection_that_waits_for_longest_goes(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["API_MAX_CONNECTIONS"] = "20"
    with (
        running_api(environment, tmp_path / "log") as api,
        connections(api, 15) as first,
        connections(api, 15, HEAD) as second,
    ):
        answers_soon(api)
        wait_until(lambda: sum(map(is_closed, first)) >= 10)
        assert sum(map(is_closed, second)) <= 5


def test_slow_bodies_take_up_their_callers_share_alone(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"API_REQUESTS_AT_ONCE": "30", "API_DATABASE_CONNECTIONS": "2"}
    post = b"POST /telemetry_report HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with (
        running_api(environment, tmp_path / "log") as api,
        connections(api, 30, post + b"Content-Length: 100\r\n\r\n{"),
    ):
        wait_until(lambda: api.client.get("/queue").status_code == 429)
        assert int(api.client.get("/queue").headers["Retry-After"]) == 1
        answers_soon(api)
        # The operator is let in; so is everyone who comes by another address.
        assert api.client.get("/queue", headers={"admin-key": ADMIN_KEY}).status_code == 200
        elsewhere = {"X-Forwarded-For": "203.0.113.9"}
        assert api.client.get("/queue", headers=elsewhere).status_code == 200


@pytest.mark.slow
def test_who_does_not_read_the_answer_is_cut_off(
    environment: dict[str, str], tmp_path: Path, database: Database
) -> None:
    store = Store(database)
    for block in range(300):
        store.record_precheck_failure(
            new_submission(block), ServiceCode.MODEL_REFUSED, "[no-pickle] " + "x" * 3_500
        )
    with running_api(environment, tmp_path / "log") as api:
        url = api.client.base_url
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect((url.host, url.port))
            request = b"GET /recent_entries?limit=300 HTTP/1.1\r\nHost: x\r\n\r\n"
            connection.sendall(request * 8)
            wait_until(lambda: established(url.port) == 0, 3 * WRITE_SECONDS, pause=0.2)
        answers_soon(api)


def established(port: int | None) -> int:
    """Connections to ``port`` that the server still holds open."""
    assert port is not None
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return sum(1 for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (HEAD + b"X: " + b"x" * (2 * MAX_HEAD_BYTES), 431, "HEAD_TOO_LARGE"),
        (HEAD + b"X: y\r\n" * MAX_HEAD_BYTES, 431, "HEAD_TOO_LARGE"),
        (b"GET /" + b"x" * (2 * MAX_HEAD_BYTES), 431, "HEAD_TOO_LARGE"),
        (b"nonsense\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "BAD_REQUEST"),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "BAD_REQUEST"),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, "BAD_REQUEST"),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, "NOT_FOUND"),
    ],
)
def test_what_is_no_request_is_refused_in_the_form_of_every_error(
    api: RunningApi, sent: bytes, status: int, code: str
) -> None:
    with connections(api, 1) as [connection]:
        with suppress(ConnectionError):  # It does not wait for all of it.
            connection.sendall(sent)
        received = b""
        while part := _received(connection):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    if not head:  # The end of the connection came before its last bytes.
        assert status == 431
        return
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/json" in head
    assert b"nosniff" in head.lower()
    assert code.encode() in body
    assert len(body) < 1_000


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""
