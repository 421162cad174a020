"""Reports that hotkeys sign, sent to two processes of the API on one Postgres."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bittensor as bt
import httpx2
import pytest
from bittensor_core import Keypair
from service_helpers import fresh_database, run_sql
from service_processes import RunningApi, failed_start, running_api

from utilities.chain_auth import sign_request

VALIDATOR, SERVICE, OTHER = (
    Keypair.create_from_uri(name) for name in ("//Alice", "//Bob", "//Dave")
)
BODY = json.dumps({"block": 1, "payload": {"event": "weights_set"}}).encode()
PATHS = ("/telemetry_report", "/event_report")


@dataclass(frozen=True)
class Service:
    """Two processes, and the database behind both."""

    one: RunningApi
    other: RunningApi
    dsn: str

    def stored(self) -> list[tuple[Any, ...]]:
        """Hotkey and mark of every report."""
        return run_sql(
            self.dsn,
            "SELECT hotkey, signed FROM telemetry_reports "
            "UNION ALL SELECT hotkey, signed FROM event_reports",
        )


@pytest.fixture(scope="module")
def running(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    place = tmp_path_factory.mktemp("reports")
    with fresh_database(server, template) as dsn:
        settings = environment(dsn, place, API_HOTKEY=SERVICE.ss58_address)
        with (
            running_api(settings, place / "one.log") as one,
            running_api(settings, place / "other.log") as other,
        ):
            yield Service(one, other, dsn)


@pytest.fixture
def service(running: Service) -> Service:
    run_sql(running.dsn, "TRUNCATE telemetry_reports, event_reports, report_nonces")
    return running


def environment(dsn: str, place: Path, **more: str) -> dict[str, str]:
    return {
        "POSTGRES_URL": dsn,
        "VAR_DIR": str(place),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "API_DATABASE_CONNECTIONS": "2",
        "HOME": str(place),  # The SDK writes there.
        **more,
    }


def send(
    api: RunningApi, path: str, signature: dict[str, str], body: bytes = BODY, **headers: str
) -> httpx2.Response:
    all_headers = {"Content-Type": "application/json", **headers, **signature}
    return api.client.post(path, content=body, headers=all_headers)


def signature(path: str, **changes: Any) -> dict[str, str]:
    fields = {"method": "POST", "target": path, "body": BODY, "receiver": SERVICE.ss58_address}
    return sign_request(VALIDATOR, **{**fields, **changes})


def assert_refused(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["remedy"]


@pytest.mark.parametrize("path", [*PATHS, "/event_report?from=here%20and&there=%C3%A9"])
def test_a_signed_report_is_kept_as_proven(service: Service, path: str) -> None:
    assert send(service.one, path, signature(path)).json() == {"status": "ok"}
    # Saying who one is does no harm.
    named = send(service.one, path, signature(path), Hotkey=VALIDATOR.ss58_address)
    assert named.status_code == 200
    assert service.stored() == [(VALIDATOR.ss58_address, True)] * 2


@pytest.mark.parametrize("path", PATHS)
def test_an_unsigned_report_is_kept_and_so_marked(service: Service, path: str) -> None:
    send(service.one, path, {}, Hotkey=VALIDATOR.ss58_address).raise_for_status()
    assert service.stored() == [(VALIDATOR.ss58_address, False)]


@pytest.mark.parametrize("path", PATHS)
def test_a_signature_that_does_not_hold_is_refused_and_nothing_kept(
    service: Service, path: str
) -> None:
    late = bt.http_auth.sign(
        VALIDATOR,
        method="POST",
        path=path,
        body=BODY,
        receiver_ss58=SERVICE.ss58_address,
        nonce_ns=time.time_ns() - 60 * 10**9,
    )
    impostor = {**signature(path), "X-Bittensor-Hotkey": OTHER.ss58_address}
    for headers, code in (
        (signature("/hc"), "SIGNATURE_WRONG"),
        (signature(path, body=BODY + b" "), "SIGNATURE_WRONG"),
        (impostor, "SIGNATURE_WRONG"),
        (signature(path, receiver=OTHER.ss58_address), "SIGNATURE_FOR_ANOTHER"),
        (late, "SIGNATURE_STALE"),
        ({"X-Bittensor-Signature": "0x00"}, "SIGNATURE_MALFORMED"),
    ):
        assert_refused(send(service.one, path, headers), 401, code)
    assert service.stored() == []


def test_a_report_is_taken_once_by_whichever_process(service: Service) -> None:
    headers = signature(PATHS[0])
    assert send(service.one, PATHS[0], headers).status_code == 200
    for api in (service.one, service.other):
        assert_refused(send(api, PATHS[0], headers), 401, "SIGNATURE_REPLAYED")
    assert len(service.stored()) == 1


def test_nobody_reports_in_the_name_of_another_hotkey(service: Service) -> None:
    header = send(service.one, PATHS[0], signature(PATHS[0]), Hotkey=OTHER.ss58_address)
    assert_refused(header, 401, "HOTKEY_NOT_SIGNER")
    body = json.dumps({"payload": {}, "hotkey": OTHER.ss58_address}).encode()
    inside = send(service.one, PATHS[1], signature(PATHS[1], body=body), body)
    assert_refused(inside, 401, "HOTKEY_NOT_SIGNER")
    assert service.stored() == []


def test_the_health_check_shows_for_whom_to_sign(service: Service) -> None:
    assert service.one.client.get("/hc").json()["hotkey"] == SERVICE.ss58_address


def test_a_service_without_a_hotkey_refuses_signatures_and_says_so(
    dsn: str, tmp_path: Path
) -> None:
    with running_api(environment(dsn, tmp_path), tmp_path / "log") as api:
        answer = send(api, PATHS[0], signature(PATHS[0]))
        assert_refused(answer, 403, "SIGNATURES_NOT_CONFIGURED")
        assert "API_HOTKEY" in answer.json()["error"]["remedy"]
        assert send(api, PATHS[0], {}).status_code == 200
        assert run_sql(dsn, "SELECT signed FROM telemetry_reports") == [(False,)]


def test_a_hotkey_that_is_none_is_a_wrong_setting(dsn: str, tmp_path: Path) -> None:
    code, output = failed_start(environment(dsn, tmp_path, API_HOTKEY="5Grw"), tmp_path / "log")
    assert (code, "API_HOTKEY" in output) == (2, True)


def test_one_hotkey_has_its_share_and_no_more(dsn: str, tmp_path: Path) -> None:
    settings = environment(
        dsn, tmp_path, API_HOTKEY=SERVICE.ss58_address, API_REPORTS_PER_SECOND="0.2"
    )
    with running_api(settings, tmp_path / "log") as api:
        answers = [send(api, PATHS[0], signature(PATHS[0])) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
        # Another's share is whole.
        fields = {"method": "POST", "target": PATHS[0], "receiver": SERVICE.ss58_address}
        other = sign_request(OTHER, body=BODY, **fields)
        assert send(api, PATHS[0], other).status_code == 200
