"""Submissions through the real API, hub and Postgres: what is stored and what the miner reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hub_helpers import OWNER, RunningHub, parler_config, parler_files, running_hub
from service_helpers import fresh_database, run_sql
from service_processes import ADMIN_KEY, RunningApi, running_api

from utilities.model_reference import submission_hash

HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
UNKNOWN_REVISION = "ab" * 20


@dataclass(frozen=True)
class Stack:
    """A hub, and an API that asks it and stores in the database ``dsn``."""

    hub: RunningHub
    api: RunningApi
    dsn: str

    def submit(self, name: str, *, block: int, **changes: Any) -> httpx2.Response:
        """Submit alice's repository ``name``, as the model queue does."""
        fields = {
            "hash": submission_hash(OWNER, name, "default", HOTKEY),
            "repo_namespace": OWNER,
            "repo_name": name,
            "config_template": "default",
            "competition_id": "tts",
            "hotkey": HOTKEY,
            "block": block,
        }
        headers = {"admin-key": ADMIN_KEY}
        return self.api.client.post(
            "/get_or_create_model", json={**fields, **changes}, headers=headers
        )

    def rows(self, block: int) -> list[tuple[Any, ...]]:
        """What is stored of the submissions that were committed at ``block``."""
        return run_sql(
            self.dsn,
            "SELECT status::text, failure_kind, failure_code, failure_message, revision "
            "FROM submissions WHERE block = %s ORDER BY id",
            block,
        )


@pytest.fixture(scope="module")
def stack(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    place = tmp_path_factory.mktemp("admission")
    with (
        fresh_database(server, template) as dsn,
        running_hub(place / "hub") as hub,
        running_api(environment(dsn, hub.url, place), place / "api.log") as api,
    ):
        yield Stack(hub, api, dsn)


def environment(dsn: str, hub_url: str, place: Path) -> dict[str, str]:
    return {
        "POSTGRES_URL": dsn,
        "HF_ENDPOINT": hub_url,
        "ADMIN_KEY": ADMIN_KEY,
        "VAR_DIR": str(place / "var"),
        "HF_HOME": str(place / "hf"),
    }


def assert_refused(
    stack: Stack,
    answer: httpx2.Response,
    *,
    block: int,
    kind: int,
    code: str,
    says: tuple[str, ...],
) -> None:
    """A refusal is stored, and the caller reads what is stored."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    [(status, stored_kind, stored_code, message, _)] = stack.rows(block)
    assert (status, stored_kind, stored_code) == ("FAILED", kind, code)
    assert (body["status"], body["failure"]["code"]) == ("FAILED", code)
    assert body["failure"]["message"] == message
    assert message.startswith(f"({kind}) ")
    for text in says:
        assert text in message
    # Whoever asks again reads the same.
    shown = stack.api.client.get(f"/submissions/{body['id']}").json()
    assert shown["failure"] == body["failure"]


def test_an_admissible_model_waits_for_a_worker_at_its_revision(stack: Stack) -> None:
    revision = stack.hub.publish("good", parler_files())
    answer = stack.submit("good", block=1, revision=revision).json()
    assert (answer["status"], answer["revision"], answer["failure"]) == ("QUEUED", revision, None)
    [(size, digest)] = run_sql(
        stack.dsn, "SELECT repository_bytes, committed_digest FROM submissions WHERE block = 1"
    )
    assert size >= sum(map(len, parler_files().values()))
    assert digest is None


def test_submitting_again_finds_the_same_submission(stack: Stack) -> None:
    revision = stack.hub.publish("again", parler_files())
    first = stack.submit("again", block=2, revision=revision, weights_digest="0f" * 32).json()
    second = stack.submit("again", block=2, revision=revision).json()
    assert second["id"] == first["id"]
    assert len(stack.rows(2)) == 1


def test_a_reference_without_revision_keeps_the_one_first_seen(stack: Stack) -> None:
    first = stack.hub.publish("moving", parler_files())
    seen = stack.submit("moving", block=3).json()
    stack.hub.publish("moving", {"README.md": b"new"})
    later = stack.submit("moving", block=3).json()
    assert (seen["revision"], later["id"]) == (first, seen["id"])
    assert stack.submit("moving", block=4).json()["revision"] != first


def test_many_callers_at_once_make_one_submission(stack: Stack) -> None:
    revision = stack.hub.publish("rush", parler_files())
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: stack.submit("rush", block=5, revision=revision).json(), range(8))
        )
    assert len({answer["id"] for answer in answers}) == 1
    assert len(stack.rows(5)) == 1


def test_the_older_names_of_endpoint_and_fields_submit_too(stack: Stack) -> None:
    revision = stack.hub.publish("older", parler_files())
    fields = {
        "hash": int(submission_hash(OWNER, "older", "default", HOTKEY)),
        "repo_namespace": OWNER,
        "repo_name": "older",
        "chat_template_type": "default",
        "competition_id": "d1",
        "hotkey": HOTKEY,
        "block": 6,
        "admin_key": "old clients send it here as well; it opens nothing",
    }
    closed = stack.api.client.post("/ensure_model", json=fields)
    assert closed.status_code == 401
    answer = stack.api.client.post("/ensure_model", json=fields, headers={"admin-key": ADMIN_KEY})
    assert (answer.json()["status"], answer.json()["revision"]) == ("QUEUED", revision)
    assert answer.json()["competition_id"] == "tts"


def test_a_wrong_hash_is_the_callers_mistake_and_nothing_is_stored(stack: Stack) -> None:
    stack.hub.publish("wrong-hash", parler_files())
    answer = stack.submit("wrong-hash", block=10, hash="12345")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "SUBMISSION_HASH_WRONG"
    assert submission_hash(OWNER, "wrong-hash", "default", HOTKEY) in error["message"]
    assert "namespace name config_template hotkey" in error["remedy"]
    assert stack.rows(10) == []


def test_an_unknown_repository_is_refused_until_it_is_there(stack: Stack) -> None:
    answer = stack.submit("not-yet", block=11)
    assert_refused(
        stack,
        answer,
        block=11,
        kind=1,
        code="REPOSITORY_NOT_FOUND",
        says=("[repository-public]", "alice/not-yet", "make the repository public"),
    )
    assert answer.json()["revision"] is None
    assert stack.submit("not-yet", block=11).json()["id"] == answer.json()["id"]

    revision = stack.hub.publish("not-yet", parler_files())
    later = stack.submit("not-yet", block=11).json()
    assert (later["status"], later["revision"]) == ("QUEUED", revision)


@pytest.mark.parametrize(
    ("block", "settings", "code", "says"),
    [
        (12, {"private": True}, "REPOSITORY_NOT_FOUND", ("[repository-public]", "not public")),
        (13, {"gated": "auto"}, "REPOSITORY_NOT_PUBLIC", ("[repository-not-gated]", "Switch off")),
    ],
)
def test_a_repository_that_not_everyone_can_read_is_refused(
    stack: Stack, block: int, settings: dict[str, Any], code: str, says: tuple[str, ...]
) -> None:
    name = f"closed-{block}"
    revision = stack.hub.publish(name, parler_files())
    stack.hub.api().update_repo_settings(f"{OWNER}/{name}", **settings)
    answer = stack.submit(name, block=block, revision=revision)
    assert_refused(stack, answer, block=block, kind=1, code=code, says=says)


def test_a_revision_that_vanished_is_refused(stack: Stack) -> None:
    stack.hub.publish("rewritten", parler_files())
    answer = stack.submit("rewritten", block=14, revision=UNKNOWN_REVISION)
    says = ("[revision-exists]", UNKNOWN_REVISION, "40-digit")
    assert_refused(stack, answer, block=14, kind=1, code="REVISION_NOT_FOUND", says=says)
    assert answer.json()["revision"] == UNKNOWN_REVISION


def remote_code() -> bytes:
    return json.dumps({**parler_config(), "auto_map": {"AutoModel": "modeling.Model"}}).encode()


@pytest.mark.parametrize(
    ("block", "files", "rule", "says"),
    [
        (20, {"training_args.bin": b"\x80\x04."}, "no-pickle", "training_args.bin"),
        (21, {"modeling.py": b"import os"}, "no-code", "modeling.py"),
        (22, {"config.json": remote_code()}, "no-auto-map", "auto_map"),
        (23, {"config.json": b'{"model_type": "llama"}'}, "architecture", "model_type"),
        (24, {"config.json": b"[" * 50_000}, "config-readable", "config.json"),
        (25, {"extra.safetensors": bytes(64)}, "weights-complete", "extra.safetensors"),
        (26, {"flax_model.msgpack": b"x"}, "only-safetensors", "flax_model.msgpack"),
    ],
)
def test_a_model_that_breaks_a_rule_is_refused_with_the_rule(
    stack: Stack, block: int, files: dict[str, bytes], rule: str, says: str
) -> None:
    revision = stack.hub.publish(f"bad-{block}", {**parler_files(), **files})
    answer = stack.submit(f"bad-{block}", block=block, revision=revision)
    assert_refused(
        stack, answer, block=block, kind=2, code="MODEL_REFUSED", says=(f"[{rule}]", says)
    )
    assert answer.json()["revision"] == revision


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"hotkey": "5" * 48}, "hotkey"),
        ({"repo_namespace": "a/b"}, "namespace"),
        ({"repo_name": "..", "repo_namespace": ".."}, "name"),
        ({"config_template": "other"}, "config_template"),
        ({"competition_id": "chess"}, "competition_id"),
        ({"revision": "main"}, "revision"),
        ({"weights_digest": "12"}, "weights_digest"),
        ({"hash": "-1"}, "hash"),
        ({"block": -1}, "block"),
        ({"block": "x" * 1_000}, "block"),
    ],
)
def test_a_malformed_submission_is_refused_by_its_field(
    stack: Stack, changes: dict[str, Any], field: str
) -> None:
    answer = stack.submit("malformed", **{"block": 30, **changes})
    assert answer.status_code == 422
    assert field in answer.json()["error"]["message"]
    assert answer.json()["error"]["remedy"]
    assert stack.rows(30) == []


def test_while_the_hub_is_down_nothing_is_recorded_and_nothing_lost(
    server: str, template: str, tmp_path: Path
) -> None:
    with fresh_database(server, template) as dsn, running_hub(tmp_path / "hub") as hub:
        revision = hub.publish("later", parler_files())
        port = httpx2.URL(hub.url).port
        assert port is not None
        env = environment(dsn, hub.url, tmp_path)
        with running_api(env, tmp_path / "api.log") as api:
            stack = Stack(hub, api, dsn)
            hub.stop()
            down = stack.submit("later", block=40, revision=revision)
            assert down.status_code == 503
            assert int(down.headers["Retry-After"]) > 0
            error = down.json()["error"]
            assert error["code"] == "HUB_UNREACHABLE"
            assert "alice/later" in error["message"]
            assert "Nothing was recorded" in error["remedy"]
            assert stack.rows(40) == []
            assert "the hub cannot be reached" in api.log
            assert api.client.get("/hc").status_code == 200

            with running_hub(tmp_path / "hub", port):
                up = stack.submit("later", block=40, revision=revision)
            assert up.json()["status"] == "QUEUED"
