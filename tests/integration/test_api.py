"""What the API shows and takes, asked over HTTP as a process with a real Postgres behind it."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from psycopg2.extensions import parse_dsn
from service_helpers import fresh_database, new_submission, run_sql, wait_until
from service_processes import ADMIN_KEY, RunningApi, running_api

from utilities.model_reference import submission_hash
from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.records import JsonObject, Score, StoredSample, SubmissionId
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

ADMIN = {"admin-key": ADMIN_KEY}
HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
PROTOCOL, OLD_PROTOCOL = "1" * 64, "2" * 64
NAMES = {"repo_namespace": "alice", "repo_name": "voice", "hotkey": HOTKEY}
HASH = submission_hash("alice", "voice", "default", HOTKEY)


@dataclass(frozen=True)
class Service:
    """An API, the database behind it, and what workers do to that."""

    api: RunningApi
    dsn: str
    store: Store
    queue: SubmissionQueue
    audio: Path

    def get(self, path: str, **params: Any) -> Any:
        """The body of a successful answer."""
        answer = self.api.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def scored(
        self,
        block: int,
        score: float,
        width: float = 0.02,
        samples: tuple[StoredSample, ...] = (),
        **changes: object,
    ) -> SubmissionId:
        """A submission that a worker has scored."""
        row = self.store.submit(new_submission(block, **{"hotkey": HOTKEY, **changes}))
        claim = self.queue.claim()
        assert claim is not None
        assert claim.submission_id == row.id
        self.queue.start_running(claim)
        found = figures(score, width)
        self.queue.complete(
            claim, found, weights_digest="ab" * 32, details={}, samples=samples, log="secret log"
        )
        return row.id

    def point_at(self, submission: SubmissionId, prompt_index: int, path: str) -> None:
        """Write a path that no worker can write: into the store, wherever that leads."""
        run_sql(
            self.dsn,
            "UPDATE samples SET audio = %s WHERE prompt_index = %s AND evaluation_id ="
            " (SELECT evaluation_id FROM results WHERE submission_id = %s)",
            path,
            prompt_index,
            submission,
        )


def figures(score: float, width: float = 0.02, protocol: str = PROTOCOL) -> Score:
    return Score(
        protocol=protocol,
        prompts_digest="3" * 64,
        score=score,
        low=max(0.0, score - width),
        high=min(1.0, score + width),
        wer=1 - score,
        human_likeness=score,
        scored=2,
        unscored=0,
    )


def sample(index: int, audio: str | None) -> StoredSample:
    return StoredSample(
        prompt_index=index,
        text="Hello <b>there</b>.",
        prompt={"emotion": "joy"},
        outcome="scored",
        reason=None,
        audio=audio,
        seconds=0.1,
        truncated=False,
        transcript="hello there",
        errors={"substitutions": 0, "deletions": 0, "insertions": 0, "words": 2},
        wer=0.0,
        human_likeness=0.5,
        score=0.75,
        components={"dnsmos": 3.1},
    )


@pytest.fixture(scope="module")
def running(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningApi, str, Path]]:
    place = tmp_path_factory.mktemp("api")
    with fresh_database(server, template) as dsn:
        environment = {
            "POSTGRES_URL": dsn,
            "ADMIN_KEY": ADMIN_KEY,
            "VAR_DIR": str(place),
            "HF_ENDPOINT": "http://user:password@127.0.0.1:9",
            "API_DATABASE_CONNECTIONS": "3",
            # Tests look right after they have changed something.
            "API_BOARD_SECONDS": "0",
        }
        with running_api(environment, place / "api.log") as api:
            yield api, dsn, place / "audio"


@pytest.fixture
def service(running: tuple[RunningApi, str, Path]) -> Iterator[Service]:
    """The running API over an empty database."""
    api, dsn, audio = running
    run_sql(
        dsn,
        "TRUNCATE submissions, calibrations, minerboard, telemetry_reports, event_reports CASCADE",
    )
    database = Database(dsn, size=2, application="tests")
    queue = SubmissionQueue(database, worker_id="worker-a", lease=timedelta(seconds=60))
    yield Service(api, dsn, Store(database), queue, audio)
    database.close()


def test_the_health_check_tells_the_state_and_no_secret(service: Service) -> None:
    health = service.get("/hc")
    assert (health["status"], health["database"], health["admin_key"]) == ("ok", "ok", True)
    assert health["hub"] == "http://127.0.0.1:9"
    assert service.get("/")["name"]


def test_the_leaderboard_ranks_by_intervals_and_shows_anchors_of_its_protocol(
    service: Service,
) -> None:
    first, second, third = (
        service.scored(1, 0.80, name="best"),
        service.scored(2, 0.79, name="close"),
        service.scored(3, 0.50, name="far"),
    )
    service.queue.record_calibration("tts", "hibari", "4" * 64, figures(0.9))
    service.queue.record_calibration("tts", "hibari-noise", "4" * 64, figures(0.3))
    service.queue.record_calibration("tts", "old", "4" * 64, figures(0.9, protocol=OLD_PROTOCOL))

    board = service.get("/leaderboard")
    assert [(row["rank"], row["id"]) for row in board["rows"]] == [
        (1, first),
        (1, second),
        (3, third),
    ]
    best = board["rows"][0]
    assert (best["repo"], best["hotkey"], best["status"]) == ("alice/best", HOTKEY, "COMPLETED")
    assert best["interval"] == pytest.approx({"low": 0.78, "high": 0.82})
    assert (best["score"], best["human_likeness"], best["block"]) == (0.8, 0.8, 1)
    assert best["wer"] == pytest.approx(0.2)
    assert [row["name"] for row in board["calibration"]] == ["hibari", "hibari-noise"]
    assert board["protocol"] == PROTOCOL

    page = service.get("/leaderboard", limit=1, offset=1)["rows"]
    assert [(row["rank"], row["id"]) for row in page] == [(1, second)]


def test_an_empty_leaderboard_still_shows_anchors(service: Service) -> None:
    assert service.get("/leaderboard")["calibration"] == []
    service.queue.record_calibration("tts", "hibari", "4" * 64, figures(0.9))
    board = service.get("/leaderboard")
    assert (board["rows"], len(board["calibration"])) == ([], 1)


def test_the_queue_counts_what_waits_runs_and_is_done(service: Service) -> None:
    service.scored(1, 0.5)
    service.store.record_precheck_failure(
        new_submission(2), ServiceCode.REPOSITORY_NOT_FOUND, "it is gone"
    )
    service.store.submit(new_submission(3))
    service.store.submit(new_submission(4))
    claim = service.queue.claim()
    assert claim is not None

    queue = service.get("/queue")
    counts = {key: value for key, value in queue.items() if key not in ("running", "workers")}
    assert counts == {"waiting": 1, "retrying": 0, "parked": 0, "completed": 1, "failed": 1}
    assert queue["workers"] == {"alive": 1, "busy": 1, "ill": 0}
    [running] = queue["running"]
    assert (running["id"], running["status"]) == (claim.submission_id, "PRECHECK")
    assert running["worker_id"] == "worker-a"


def test_a_submission_shows_its_samples_attempts_and_recordings(service: Service) -> None:
    service.audio.mkdir(parents=True, exist_ok=True)
    recording = service.audio / "clip.wav"
    with wave.open(str(recording), "wb") as clip:
        clip.setparams((1, 2, 16_000, 0, "NONE", ""))
        clip.writeframes(bytes(3_200))
    number = service.scored(5, 0.6, samples=(sample(0, None), sample(7, None)))
    service.point_at(number, 7, "clip.wav")

    shown = service.get(f"/submissions/{number}")
    assert (shown["status"], shown["score"], shown["scored"]) == ("COMPLETED", 0.6, 2)
    assert shown["weights_digest"] == "ab" * 32
    assert [s["audio"] for s in shown["samples"]] == [None, f"/submissions/{number}/audio/7"]
    assert shown["samples"][1]["prompt"] == {"emotion": "joy"}
    assert [a["outcome"] for a in shown["attempts"]] == ["COMPLETED"]
    assert "secret log" not in json.dumps(shown)
    page = service.get(f"/submissions/{number}", limit=1, offset=1)["samples"]
    assert [s["prompt_index"] for s in page] == [7]

    heard = service.api.client.get(f"/submissions/{number}/audio/7")
    assert (heard.status_code, heard.headers["Content-Type"]) == (200, "audio/wav")
    assert heard.content == recording.read_bytes()
    part = service.api.client.get(f"/submissions/{number}/audio/7", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")


def test_what_was_scored_on_other_prompts_is_asked_for_by_their_digest(service: Service) -> None:
    service.audio.mkdir(parents=True, exist_ok=True)
    (service.audio / "old.wav").write_bytes(b"RIFF of the round before")
    number = service.scored(5, 0.6, samples=(sample(0, None),))
    service.point_at(number, 0, "old.wav")
    # A later evaluation on other prompts, as the next round makes it.
    later = "8" * 64
    run_sql(
        service.dsn,
        "WITH attempt AS (INSERT INTO evaluations (submission_id, worker_id, fence, started_at,"
        " ended_at, outcome) SELECT submission_id, worker_id, fence + 1, now(), now(), outcome"
        " FROM evaluations WHERE submission_id = %s RETURNING id)"
        " INSERT INTO results SELECT (jsonb_populate_record(r, jsonb_build_object('evaluation_id',"
        " attempt.id, 'protocol', %s, 'prompts_digest', %s, 'score', 0.61))).*"
        " FROM results r, attempt WHERE r.submission_id = %s",
        number,
        later,
        later,
        number,
    )

    path = f"/submissions/{number}"
    assert service.get(path)["score"] == service.get(path, prompts_digest=later)["score"] == 0.61
    assert service.get(path)["samples"] == []
    before = service.get(path, prompts_digest="0" * 64)
    assert (before["score"], before["samples"]) == (None, [])
    first = service.get(path, prompts_digest=figures(0.6).prompts_digest)
    assert (first["score"], len(first["samples"])) == (0.6, 1)
    clip = service.api.client.get(
        f"{path}/audio/0", params={"prompts_digest": first["prompts_digest"]}
    )
    assert clip.content == b"RIFF of the round before"
    assert service.api.client.get(f"{path}/audio/0").status_code == 404
    assert service.api.client.get(path, params={"prompts_digest": "x"}).status_code == 422


def test_a_stored_path_that_leads_out_of_the_audio_store_gives_nothing(service: Service) -> None:
    service.audio.mkdir(parents=True, exist_ok=True)
    outside = service.audio.parent / "outside.wav"
    outside.write_bytes(b"secret")
    link = service.audio / "link.wav"
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    (service.audio / "notes.txt").write_text("secret")
    paths = ("../outside.wav", str(outside), "link.wav", "notes.txt", "missing.wav", "a\udcffb.wav")
    samples = tuple(sample(index, None) for index in range(len(paths)))
    number = service.scored(6, 0.6, samples=samples)
    for index, path in enumerate(paths):
        service.point_at(number, index, path.encode("utf-8", "replace").decode())

    for index in range(len(paths) + 1):
        answer = service.api.client.get(f"/submissions/{number}/audio/{index}")
        assert answer.status_code == 404, paths[index]
        assert answer.json()["error"]["code"] == "AUDIO_NOT_FOUND"


def test_a_model_is_found_by_its_names_old_and_new(service: Service) -> None:
    absent = service.get("/model_submission_details", **NAMES, hash=HASH)
    assert (absent["status"], absent["id"], absent["score"]) == ("NO_METADATA", None, None)

    service.scored(7, 0.4, submission_hash=HASH)
    newest = service.scored(8, 0.6, submission_hash=HASH)
    for template in ("config_template", "chat_template_type"):
        found = service.get(
            "/model_submission_details", **NAMES, hash=HASH, **{template: "default"}
        )
        assert (found["id"], found["status"], found["hash"]) == (newest, "COMPLETED", HASH)
        assert found["score"]["total_score"] == 0.6
    posted = service.api.client.post("/evaluate_model", json={**NAMES, "hash": HASH})
    assert posted.json()["id"] == newest


def test_asking_about_a_model_submits_nothing(service: Service) -> None:
    posted = service.api.client.post("/evaluate_model", json={**NAMES, "hash": HASH, "block": 1})
    assert posted.json()["status"] == "NO_METADATA"
    assert service.get("/recent_entries") == []


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"hash": "1"}, 400, HASH),
        ({"hash": "x"}, 422, "hash"),
        ({"repo_name": ""}, 422, "repo_name"),
        ({"hotkey": "alice"}, 422, "hotkey"),
        ({"config_template": "x"}, 422, "config_template"),
    ],
)
def test_a_question_with_a_wrong_field_is_told_which(
    service: Service, changes: dict[str, str], status: int, says: str
) -> None:
    fields = {**NAMES, "hash": HASH, **changes}
    asked = service.api.client.get("/model_submission_details", params=fields)
    posted = service.api.client.post("/evaluate_model", json=fields)
    for answer in (asked, posted):
        assert answer.status_code == status
        assert says in answer.json()["error"]["message"]


def test_recent_entries_hold_failures_with_the_reason(service: Service) -> None:
    service.scored(1, 0.5)
    service.store.record_precheck_failure(
        new_submission(2), ServiceCode.MODEL_REFUSED, "[no-pickle] it holds x.bin"
    )
    newest, older = service.get("/recent_entries")
    assert (newest["status"], newest["failure_kind"], newest["total_score"]) == ("FAILED", 2, None)
    assert "[no-pickle] it holds x.bin" in newest["notes"]
    assert (older["status"], older["total_score"]) == ("COMPLETED", 0.5)
    assert [row["id"] for row in service.get("/recent_entries", limit=1)] == [newest["id"]]


def test_the_minerboard_takes_one_miner_or_all(service: Service) -> None:
    def update(body: JsonObject) -> None:
        answer = service.api.client.post("/minerboard_update", json=body, headers=ADMIN)
        assert answer.json() == {"status": "ok"}

    service.scored(9, 0.7, submission_hash=HASH)
    update({"uid": 4, "hotkey": HOTKEY, "hash": HASH, "block": 9})
    update({"uid": 2, "hotkey": "someone"})
    update({"uid": 2, "hotkey": "someone else", "details": {"note": "moved"}})
    other, mine = service.get("/minerboard")
    assert (other["uid"], other["hotkey"], other["status"]) == (2, "someone else", None)
    assert other["details"] == {"note": "moved"}
    assert (mine["uid"], mine["hash"], mine["status"]) == (4, HASH, "COMPLETED")
    assert mine["total_score"] == 0.7

    update({"entries": [{"uid": 1, "hotkey": HOTKEY}]})
    assert [row["uid"] for row in service.get("/minerboard")] == [1]
    twice = {"entries": [{"uid": 1, "hotkey": "a"}, {"uid": 1, "hotkey": "b"}]}
    answer = service.api.client.post("/minerboard_update", json=twice, headers=ADMIN)
    assert (answer.status_code, "twice" in answer.text) == (422, True)


@pytest.mark.parametrize("path", ["/get_or_create_model", "/ensure_model", "/minerboard_update"])
def test_admin_endpoints_open_to_the_right_key_alone(service: Service, path: str) -> None:
    for headers, status, code in (
        ({}, 401, "ADMIN_KEY_MISSING"),
        ({"admin-key": ""}, 401, "ADMIN_KEY_MISSING"),
        ({"admin-key": ADMIN_KEY + "x"}, 403, "ADMIN_KEY_WRONG"),
        ({"admin-key": "é".encode()}, 403, "ADMIN_KEY_WRONG"),
    ):
        body = {"admin_key": ADMIN_KEY, "uid": 1, "hotkey": "x"}
        answer = service.api.client.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert service.get("/minerboard") == []


REPORTER = {
    "Git-Commit": "c0ffee",
    "Bittensor-Version": "11.3.0",
    "UID": "12",
    "Hotkey": HOTKEY,
    "Coldkey": "None",
}


def test_telemetry_is_kept_with_its_reporter_and_marked_unsigned(service: Service) -> None:
    payload = {"nested": {"list": [1, None, "é"]}, "nul": "a\0b"}
    answer = service.api.client.post("/telemetry_report", json=payload, headers=REPORTER)
    assert answer.json() == {"status": "ok"}
    [row] = run_sql(
        service.dsn,
        "SELECT uid, hotkey, coldkey, git_commit, bittensor_version, signed, payload "
        "FROM telemetry_reports",
    )
    assert row[:6] == (12, HOTKEY, None, "c0ffee", "11.3.0", False)
    assert row[6]["nested"] == payload["nested"]


def test_an_events_body_says_who_reports_where_the_headers_do_not(service: Service) -> None:
    report = {
        "commit": "beef",
        "btversion": "11",
        "uid": "x",
        "hotkey": "h",
        "coldkey": "c",
        "payload": {"event": "weights_set"},
        "signature": {"signed": "by whom?"},
    }
    service.api.client.post("/event_report", json=report).raise_for_status()
    service.api.client.post("/event_report", json=report, headers=REPORTER).raise_for_status()
    first, second = run_sql(
        service.dsn,
        "SELECT uid, hotkey, git_commit, signed, payload FROM event_reports ORDER BY id",
    )
    stored = {"payload": report["payload"], "signature": report["signature"]}
    assert first == (None, "h", "beef", False, stored)
    assert second == (12, HOTKEY, "c0ffee", False, stored)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(b"{", JSON, 422, id="broken off"),
        pytest.param(b"[1]", JSON, 422, id="a list"),
        pytest.param(b"", JSON, 422, id="nothing"),
        pytest.param(b"a=1", {"Content-Type": "text/plain"}, 422, id="no JSON"),
        pytest.param(b"[" * 100_000, JSON, 400, id="nested beyond reading"),
        pytest.param(b'{"a":' * 200 + b"1" + b"}" * 200, JSON, 422, id="nested deep"),
        pytest.param(b'{"a":' + b"9" * 5_000 + b"}", JSON, 400, id="an endless number"),
        pytest.param(b"\xff\xfe\xff", JSON, 400, id="no text"),
        pytest.param(b" " * 300_000, JSON, 413, id="oversized"),
        pytest.param(b"{}", {**JSON, "Hotkey": "x" * 65}, 422, id="a header too long"),
    ],
)
def test_a_malformed_body_is_refused_in_the_form_of_every_error(
    service: Service, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = service.api.client.post("/telemetry_report", content=content, headers=headers)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"]
    assert error["message"]
    assert error["remedy"]
    assert run_sql(service.dsn, "SELECT count(*) FROM telemetry_reports") == [(0,)]


def test_a_body_that_is_streamed_without_a_length_is_cut_off(service: Service) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 2**30:
            sent += 2**16
            yield bytes(2**16)

    # However the end of the connection shows, the API has not read on.
    answer = None
    with suppress(httpx2.WriteError):
        answer = service.api.client.post("/telemetry_report", content=endless(), headers=JSON)
    assert answer is None or answer.status_code == 413
    assert sent < 2**29


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nowhere", 404, "NOT_FOUND"),
        ("/submissions/999999", 404, "SUBMISSION_NOT_FOUND"),
        ("/submissions/0", 422, "REQUEST_INVALID"),
        ("/submissions/99999999999999999999", 422, "REQUEST_INVALID"),
        ("/submissions/1/audio/..%2F..%2Fetc", 404, "NOT_FOUND"),
        ("/leaderboard?limit=0", 422, "REQUEST_INVALID"),
        ("/leaderboard?limit=1001", 422, "REQUEST_INVALID"),
        ("/leaderboard?offset=-1", 422, "REQUEST_INVALID"),
        ("/leaderboard?competition_id=chess", 422, "REFERENCE_INVALID"),
        ("/recent_entries?limit=x", 422, "REQUEST_INVALID"),
        ("/get_or_create_model", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_a_question_without_an_answer_says_what_to_do(
    service: Service, path: str, status: int, code: str
) -> None:
    answer = service.api.client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["remedy"]


def test_a_database_that_goes_away_means_503_until_it_is_back(service: Service) -> None:
    service.scored(1, 0.5)
    name = parse_dsn(service.dsn)["dbname"]
    server = service.dsn.replace(f"dbname={name}", "dbname=postgres")
    run_sql(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    run_sql(
        server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", name
    )
    try:
        for path in ("/leaderboard", "/queue", "/submissions/1"):
            answer = service.api.client.get(path)
            assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
            assert answer.json()["error"]["code"] == "DATABASE_UNAVAILABLE"
            assert name not in answer.text
        report = service.api.client.post("/telemetry_report", json={})
        assert report.status_code == 503
        health = service.api.client.get("/hc")
        assert (health.status_code, health.json()["database"]) == (503, "unavailable")
    finally:
        run_sql(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    wait_until(lambda: service.api.client.get("/hc").status_code == 200)
    assert len(service.get("/leaderboard")["rows"]) == 1


def test_the_description_names_every_endpoint_and_the_form_of_its_errors(service: Service) -> None:
    description = service.get("/openapi.json")
    operations = [
        (path, operation)
        for path, methods in description["paths"].items()
        for operation in methods.values()
    ]
    assert {path for path, _ in operations} >= {
        "/",
        "/hc",
        "/telemetry_report",
        "/event_report",
        "/minerboard_update",
        "/minerboard",
        "/recent_entries",
        "/model_submission_details",
        "/evaluate_model",
        "/get_or_create_model",
        "/ensure_model",
        "/leaderboard",
        "/submissions/{submission_id}",
        "/submissions/{submission_id}/audio/{prompt_index}",
        "/queue",
    }
    for path, operation in operations:
        assert operation["summary"], path
        assert operation["description"], path
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")) and path != "/hc":
                reference = response["content"]["application/json"]["schema"]["$ref"]
                assert reference.endswith("/ErrorAnswer"), (path, status)
    request = description["components"]["schemas"]["SubmissionRequest"]["properties"]
    for field in ("hash", "repo_namespace", "repo_name", "hotkey", "revision", "block"):
        assert "examples" in json.dumps(request[field]), field
    headers = {
        parameter["name"].lower()
        for parameter in description["paths"]["/telemetry_report"]["post"]["parameters"]
    }
    assert headers == {name.lower() for name in REPORTER}
