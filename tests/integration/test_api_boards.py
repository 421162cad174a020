"""Boards that many ask for: shared for a second, named by a tag, and harmless to look at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from service_helpers import fresh_database, new_submission, wait_until
from service_processes import ADMIN_KEY, RunningApi, running_api

from voice_validation_api.api_headers import SAFE_HEADERS
from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

BOARDS = ("/leaderboard", "/queue", "/recent_entries", "/minerboard")


@pytest.fixture(scope="module")
def board_dsn(server: str, template: str) -> Iterator[str]:
    with fresh_database(server, template) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def board_database(board_dsn: str) -> Iterator[Database]:
    database = Database(board_dsn, size=2, application="tests")
    yield database
    database.close()


@pytest.fixture(scope="module")
def running(
    board_dsn: str, board_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningApi, Store]]:
    place = tmp_path_factory.mktemp("boards")
    environment = {
        "POSTGRES_URL": board_dsn,
        "VAR_DIR": str(place),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "ADMIN_KEY": ADMIN_KEY,
    }
    with running_api(environment, place / "log") as api:
        yield api, Store(board_database)


@pytest.mark.parametrize("path", BOARDS)
def test_who_has_the_newest_board_is_told_so(running: tuple[RunningApi, Store], path: str) -> None:
    api, _ = running
    board = api.client.get(path)
    assert board.headers["Content-Type"] == "application/json"
    assert board.headers["Cache-Control"] == "public, max-age=1"
    tag = board.headers["ETag"]
    for known in (tag, f'"other", {tag}', f"W/{tag}"):
        same = api.client.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert api.client.get(path, headers={"If-None-Match": '"other"'}).json() == board.json()


def test_a_board_shows_what_is_new_within_two_seconds(running: tuple[RunningApi, Store]) -> None:
    api, store = running

    def blocks() -> list[int]:
        return [row["block"] for row in api.client.get("/recent_entries").json()]

    before = blocks()
    store.submit(new_submission(77_001))
    # Asked without pause: answers that are due are made anew behind the ones that are shown.
    wait_until(lambda: blocks() == [77_001, *before], 10)


def test_ill_workers_are_seen_and_not_named(
    running: tuple[RunningApi, Store], board_database: Database
) -> None:
    api, _ = running
    for name, ill in (("host-a:1:0", False), ("host-b:2:0", True)):
        queue = SubmissionQueue(board_database, worker_id=name, lease=timedelta(minutes=1))
        queue.appear(ill=ill)
    expected = {"alive": 2, "busy": 0, "ill": 1}
    wait_until(lambda: api.client.get("/queue").json()["workers"] == expected, 10)
    assert "host" not in api.client.get("/queue").text
    page = api.client.get("/progress", headers={"Accept": "text/html"}).text
    assert "<b>1</b><span>of them ill: they claim nothing</span>" in page


def test_names_that_would_deceive_are_shown_to(running: tuple[RunningApi, Store]) -> None:
    api, store = running
    detail = "[no-pickle] it holds gpj.\u202eexe\x1b[31m<script>"
    row = store.record_precheck_failure(new_submission(77_002), ServiceCode.MODEL_REFUSED, detail)
    shown = api.client.get(f"/submissions/{row.id}").json()["failure"]["message"]
    assert "gpj.\ufffdexe\ufffd[31m<script>" in shown


@pytest.mark.parametrize(
    "path",
    [*BOARDS, "/hc", "/openapi.json", "/nowhere/%E2%80%AE%1B%00", "/leaderboard?limit=x"],
)
def test_every_answer_is_json_and_nothing_else(
    running: tuple[RunningApi, Store], path: str
) -> None:
    api, _ = running
    answer = api.client.get(path, headers={"Accept": "text/html"})
    assert answer.headers["Content-Type"] == "application/json"
    for name, value in SAFE_HEADERS.items():
        assert answer.headers[name] == value
    assert not {"\u202e", "\x1b", "\0"} & set(answer.text)


@pytest.mark.parametrize("path", ["/leaderboard", "/recent_entries", "/minerboard"])
def test_nobody_pages_deeper_than_the_database_likes_to_read(
    running: tuple[RunningApi, Store], path: str
) -> None:
    api, _ = running
    assert api.client.get(path, params={"offset": 10_000, "limit": 1_000}).status_code == 200
    assert api.client.get(path, params={"offset": 10_001}).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/evaluate_model", {"hash": "x" * 200_000}),
        ("/evaluate_model", {"k" * 200_000: 1}),
        ("/event_report", {"payload": {}, "uid": "x" * 100_000, "hotkey": "y" * 100_000}),
        ("/event_report", {"payload": ["\u202e"] * 10_000}),
    ],
)
def test_an_error_does_not_echo_what_was_sent(
    running: tuple[RunningApi, Store], path: str, body: dict[str, object]
) -> None:
    answer = running[0].client.post(path, json=body)
    assert answer.status_code == 422
    assert len(answer.content) < 5_000


def test_a_uid_of_very_many_digits_is_unknown(running: tuple[RunningApi, Store]) -> None:
    answer = running[0].client.post("/event_report", json={"payload": {}, "uid": "9" * 100_000})
    assert answer.status_code == 200
