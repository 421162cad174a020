"""How many requests a caller gets answered, asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_helpers import fresh_database
from service_processes import ADMIN_KEY, RunningApi, running_api

BURST = 5
ADMIN = {"admin-key": ADMIN_KEY}


def environment(dsn: str, place: Path, **more: str) -> dict[str, str]:
    return {
        "POSTGRES_URL": dsn,
        "VAR_DIR": str(place),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "ADMIN_KEY": ADMIN_KEY,
        # Five at once, and the next one only when the test is long over.
        "API_REQUESTS_PER_SECOND": "0.5",
        **more,
    }


@pytest.fixture(scope="module")
def api(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningApi]:
    place = tmp_path_factory.mktemp("rates")
    with (
        fresh_database(server, template) as dsn,
        running_api(environment(dsn, place), place / "log") as running,
    ):
        yield running


def statuses(api: RunningApi, path: str, count: int, **headers: str) -> list[int]:
    return [api.client.get(path, headers=headers).status_code for _ in range(count)]


def test_a_caller_beyond_its_share_is_told_when_to_come_again(api: RunningApi) -> None:
    me = {"X-Forwarded-For": "203.0.113.1"}
    answers = [api.client.get("/queue", headers=me) for _ in range(BURST + 2)]
    assert [answer.status_code for answer in answers[:BURST]] == [200] * BURST
    last = answers[-1]
    assert (last.status_code, last.json()["error"]["code"]) == (429, "TOO_MANY_REQUESTS")
    assert 1 <= int(last.headers["Retry-After"]) <= 2
    assert last.headers["X-Content-Type-Options"] == "nosniff"
    # What is refused is refused for every path, also those that are none.
    assert statuses(api, "/nowhere", 1, **me) == [429]


def test_behind_a_trusted_proxy_every_caller_has_a_share(api: RunningApi) -> None:
    for number in range(3):
        address = {"X-Forwarded-For": f"203.0.113.{10 + number}"}
        assert statuses(api, "/queue", BURST, **address) == [200] * BURST


def test_what_a_caller_wrote_before_the_proxy_did_is_not_believed(api: RunningApi) -> None:
    for number in range(BURST):
        forged = {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.20"}
        assert statuses(api, "/queue", 1, **forged) == [200]
    assert statuses(api, "/queue", 1, **{"X-Forwarded-For": "8.8.8.8, 203.0.113.20"}) == [429]


def test_the_operator_and_the_health_check_have_larger_shares(api: RunningApi) -> None:
    address = {"X-Forwarded-For": "203.0.113.30"}
    statuses(api, "/queue", BURST + 2, **address)
    assert statuses(api, "/queue", 50, **address, **ADMIN) == [200] * 50
    assert statuses(api, "/hc", 50, **address) == [200] * 50
    wrong = {"admin-key": ADMIN_KEY + "x"}
    assert statuses(api, "/queue", 1, **address, **wrong) == [429]


def test_nobody_is_believed_where_no_proxy_is_trusted(dsn: str, tmp_path: Path) -> None:
    settings = environment(dsn, tmp_path, API_TRUSTED_PROXIES="192.0.2.0/24")
    with running_api(settings, tmp_path / "log") as api:
        asked = [
            api.client.get("/queue", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
            for number in range(BURST + 2)
        ]
    assert asked[BURST + 1] == 429
