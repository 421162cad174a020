"""The store on a real Postgres: what goes in comes out, and what the schema refuses."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum
from typing import Any

import pytest
from queue_helpers import ACTIVE
from service_helpers import new_submission, run_sql

from scoring.contract import FailureCode
from voice_validation_api.database import RefusedByDatabaseError
from voice_validation_api.failures import ServiceCode
from voice_validation_api.records import (
    MinerboardEntry,
    Reporter,
    Score,
    StoredSample,
    SubmissionId,
)
from voice_validation_api.rounds.records import RoundState
from voice_validation_api.status import (
    INITIAL,
    TRANSITIONS,
    AttemptOutcome,
    Priority,
    SubmissionStatus,
)
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

PROTOCOL = "1" * 64


def score(value: float, protocol: str = PROTOCOL) -> Score:
    return Score(
        protocol=protocol,
        prompts_digest="3" * 64,
        score=value,
        low=value / 2,
        high=value,
        wer=1 - value,
        human_likeness=value,
        scored=1,
        unscored=0,
    )


def sample(index: int, audio: str = "1/1", **changes: Any) -> StoredSample:
    plain = StoredSample(
        prompt_index=index,
        text="Hello.",
        prompt={"emotion": "joy"},
        outcome="scored",
        reason=None,
        audio=f"{audio}/{index}.wav",
        seconds=1.5,
        truncated=False,
        transcript="hello",
        errors={"substitutions": 0, "deletions": 0, "insertions": 0, "words": 1},
        wer=0.0,
        human_likeness=0.5,
        score=0.75,
        components={"dnsmos": 3.1},
        audio_digest="7" * 64,
        second_transcript="halo",
    )
    return replace(plain, **changes)


def evaluate(
    queue: SubmissionQueue, value: float, protocol: str = PROTOCOL, samples: int = 1
) -> SubmissionId:
    """Claim the next submission and complete it with a score."""
    claim = queue.claim()
    assert claim is not None
    queue.start_running(claim)
    queue.complete(
        claim,
        score(value, protocol),
        weights_digest="4" * 64,
        details={"contract": 1},
        samples=[sample(i, f"{claim.submission_id}/{claim.evaluation_id}") for i in range(samples)],
        log="done",
    )
    return claim.submission_id


@pytest.mark.parametrize(
    ("members", "name"),
    [
        (SubmissionStatus, "submission_status"),
        (Priority, "submission_priority"),
        (AttemptOutcome, "attempt_outcome"),
        (RoundState, "round_state"),
    ],
)
def test_enums_equal_those_of_postgres_in_order(dsn: str, members: type[Enum], name: str) -> None:
    rows = run_sql(dsn, f"SELECT unnest(enum_range(NULL::{name}))::text")
    assert [row[0] for row in rows] == [member.value for member in members]


def test_postgres_allows_the_documented_initial_states_only(dsn: str, store: Store) -> None:
    store.submit(new_submission())
    for status in SubmissionStatus:
        statement = f"""
            INSERT INTO submissions (competition_id, hotkey, block, revision, namespace, name,
                config_template, submission_hash, status, worker_id, lease_expires_at,
                failure_kind, failure_message)
            SELECT 'tts', 'h', 1, '{status.value}', 'n', 'n', 'c', '1', '{status.value}',
                CASE WHEN {status in ACTIVE} THEN 'w' END,
                CASE WHEN {status in ACTIVE} THEN now() END, 1, 'gone'
        """
        if status in INITIAL:
            run_sql(dsn, statement)
        else:
            with pytest.raises(Exception, match="no transition"):
                run_sql(dsn, statement)


@pytest.mark.parametrize(
    ("before", "after"),
    [pair for pair in itertools.product(SubmissionStatus, SubmissionStatus) if pair[0] != pair[1]],
)
def test_postgres_allows_the_documented_transitions_only(
    dsn: str, before: SubmissionStatus, after: SubmissionStatus
) -> None:
    def columns(status: SubmissionStatus) -> str:
        lease = "'w', now()" if status in ACTIVE else "NULL, NULL"
        return f"('{status.value}', {lease}, 1, 'reason')"

    names = "(status, worker_id, lease_expires_at, failure_kind, failure_message)"
    run_sql(dsn, "ALTER TABLE submissions DISABLE TRIGGER submissions_initial")
    run_sql(
        dsn,
        f"""INSERT INTO submissions (competition_id, hotkey, block, revision, namespace, name,
            config_template, submission_hash, {names[1:]}
            VALUES ('tts', 'h', 1, 'r', 'n', 'n', 'c', '1', {columns(before)[1:]}""",
    )
    statement = f"UPDATE submissions SET {names} = {columns(after)}"
    if after in TRANSITIONS[before]:
        run_sql(dsn, statement)
    else:
        with pytest.raises(Exception, match=f"no transition {before.value} -> {after.value}"):
            run_sql(dsn, statement)


def test_submitting_twice_finds_the_first(store: Store) -> None:
    first = store.submit(new_submission())
    again = store.submit(new_submission(name="renamed"))
    assert again == first
    assert first.status is SubmissionStatus.QUEUED
    assert first.repo_id == "alice/voice"
    assert store.get(first.id) == first


def test_submissions_differ_by_competition_hotkey_block_and_revision(store: Store) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"competition_id": "roleplay"},
        {"hotkey": "other"},
        {"block": 101},
        {"revision": "cd" * 20},
    ]
    assert len({store.submit(new_submission(**change)).id for change in changes}) == 5


def test_concurrent_submits_create_one_row(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = {row.id for row in pool.map(store.submit, [new_submission()] * 40)}
    assert len(ids) == 1


def test_a_refused_submission_is_failed_with_what_the_miner_reads(store: Store) -> None:
    row = store.record_precheck_failure(
        new_submission(), ServiceCode.MODEL_REFUSED, "evil.pkl is no safetensors file"
    )
    assert row.status is SubmissionStatus.FAILED
    assert (row.failure_kind, row.failure_code) == (2, "MODEL_REFUSED")
    assert row.failure_message == (
        "(2) The model cannot be loaded or run: evil.pkl is no safetensors file"
    )
    assert store.submit(new_submission()).status is SubmissionStatus.FAILED


def test_an_error_of_ours_refuses_nobody(store: Store) -> None:
    with pytest.raises(ValueError, match="HUB_UNREACHABLE"):
        store.record_precheck_failure(new_submission(), ServiceCode.HUB_UNREACHABLE, "hub down")
    assert store.recent(limit=1) == ()


def test_newest_by_hash_is_the_latest_block_under_the_same_names(store: Store) -> None:
    for block, revision in [(10, "aa" * 20), (30, "bb" * 20), (20, "cc" * 20)]:
        store.submit(new_submission(block, revision=revision))
    store.submit(new_submission(40, namespace="mallory"))
    key = {
        "competition_id": "tts",
        "submission_hash": new_submission().submission_hash,
        "namespace": "alice",
        "name": "voice",
        "config_template": "default",
    }
    found = store.newest_by_hash(**key)
    assert found is not None
    assert found.block == 30
    assert store.newest_by_hash(**key, hotkey=found.hotkey) == found
    assert store.newest_by_hash(**key, hotkey="another") is None


def test_samples_are_paged_in_the_order_of_the_prompts(
    store: Store, queue: SubmissionQueue
) -> None:
    store.submit(new_submission())
    submission = evaluate(queue, 0.5, samples=5)
    assert store.samples(submission, limit=10) == tuple(sample(i) for i in range(5))
    assert [s.prompt_index for s in store.samples(submission, limit=2, offset=2)] == [2, 3]
    assert store.sample(submission, 3) == sample(3)
    assert store.sample(submission, 5) is None
    result = store.result(submission)
    assert result is not None
    assert result.details == {"contract": 1}
    row = store.get(submission)
    assert row is not None
    assert row.weights_digest == "4" * 64


def test_recent_shows_the_newest_first_with_scores_and_reasons(
    store: Store, queue: SubmissionQueue
) -> None:
    store.submit(new_submission(10))
    evaluate(queue, 0.25)
    store.record_precheck_failure(new_submission(20), FailureCode.CONFIG_INVALID, "no layers")
    store.submit(new_submission(30))
    entries = store.recent(limit=10)
    assert [(e.block, e.status.value, e.score) for e in entries] == [
        (30, "QUEUED", None),
        (20, "FAILED", None),
        (10, "COMPLETED", 0.25),
    ]
    assert store.recent(limit=1, offset=2) == entries[2:]


def test_queue_state_counts_and_names_the_workers(store: Store, queue: SubmissionQueue) -> None:
    for block in range(4):
        store.submit(new_submission(block))
    evaluate(queue, 0.5)
    claim = queue.claim()
    assert claim is not None
    state = store.queue_state()
    assert (state.waiting, state.retrying, state.parked) == (2, 0, 0)
    assert (state.completed, state.failed) == (1, 0)
    assert [(r.submission_id, r.worker_id) for r in state.running] == [
        (claim.submission_id, "worker-a")
    ]


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (1_001, 0), (1, -1)])
def test_pages_are_bounded(store: Store, limit: int, offset: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        store.recent(limit=limit, offset=offset)


def test_reports_keep_what_strangers_send(dsn: str, store: Store) -> None:
    store.record_telemetry(
        Reporter(uid=7, hotkey="h"), {"a": "nul\0 and \ud800", "b": float("nan")}
    )
    store.record_event(Reporter(signed=True), {"kind": "weights set"})
    telemetry = run_sql(dsn, "SELECT uid, signed, payload FROM telemetry_reports")
    assert telemetry == [(7, False, {"a": "nul\ufffd and ?", "b": None})]
    events = run_sql(dsn, "SELECT uid, signed, payload FROM event_reports")
    assert events == [(None, True, {"kind": "weights set"})]


def test_what_breaks_a_rule_of_the_schema_is_refused(store: Store) -> None:
    with pytest.raises(RefusedByDatabaseError):
        store.record_telemetry(Reporter(uid=2**40), {})
    with pytest.raises(RefusedByDatabaseError, match="submission_hash"):
        store.submit(new_submission(submission_hash="-1"))


def test_minerboard_is_replaced_as_a_whole_and_shows_the_submission(
    store: Store, queue: SubmissionQueue
) -> None:
    scored = store.submit(new_submission())
    evaluate(queue, 0.5)
    known = MinerboardEntry(
        competition_id="tts",
        uid=3,
        hotkey=scored.hotkey,
        submission_hash=scored.submission_hash,
        block=100,
    )
    unknown = MinerboardEntry(competition_id="tts", uid=1, hotkey="h", details={"note": "new"})
    store.update_minerboard("tts", [known, unknown])
    board = store.minerboard("tts", limit=10)
    assert [(row.uid, row.status, row.score) for row in board] == [
        (1, None, None),
        (3, SubmissionStatus.COMPLETED, 0.5),
    ]
    assert board[0].details == {"note": "new"}
    store.update_minerboard("tts", [unknown])
    assert [row.uid for row in store.minerboard("tts", limit=10)] == [1]


def test_minerboard_refuses_a_uid_twice_and_keeps_the_old_list(store: Store) -> None:
    entry = MinerboardEntry(competition_id="tts", uid=1, hotkey="h")
    store.update_minerboard("tts", [entry])
    with pytest.raises(ValueError, match="twice"):
        store.update_minerboard("tts", [entry, replace(entry, hotkey="i")])
    with pytest.raises(RefusedByDatabaseError):
        store.update_minerboard("tts", [replace(entry, uid=-1)])
    assert [row.hotkey for row in store.minerboard("tts", limit=10)] == ["h"]


def test_one_miner_can_be_added_and_replaced(store: Store) -> None:
    entry = MinerboardEntry(competition_id="tts", uid=1, hotkey="h")
    store.update_miner(entry)
    store.update_miner(replace(entry, uid=2))
    store.update_miner(replace(entry, hotkey="i", details={"note": "moved"}))
    board = store.minerboard("tts", limit=10)
    assert [(row.uid, row.hotkey, row.details) for row in board] == [
        (1, "i", {"note": "moved"}),
        (2, "h", {}),
    ]


def test_calibrations_are_kept_once_per_voice_and_request(
    store: Store, queue: SubmissionQueue
) -> None:
    request = "5" * 64
    assert queue.calibrated_voices("tts", request) == {}
    for value in (0.4, 0.8):
        queue.record_calibration("tts", "hibari", request, score(value))
    assert [(c.voice, c.score) for c in store.calibrations("tts")] == [("hibari", 0.8)]
    assert queue.calibrated_voices("tts", request) == {"hibari": PROTOCOL}
    assert queue.calibrated_voices("tts", "6" * 64) == {}


def test_ping(store: Store) -> None:
    store.ping()
