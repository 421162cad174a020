"""What is forgotten, and what must not be, on a real database and a directory of clips."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import retention as script
from service_helpers import new_submission, run_sql

from voice_validation_api import retention as module
from voice_validation_api.audio_directory import DirectoryAudioStore
from voice_validation_api.database import Database
from voice_validation_api.failures import ServiceCode
from voice_validation_api.records import Claim, EvaluationId, Reporter, SubmissionId
from voice_validation_api.retention import Amount, Retention
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

MONTH = timedelta(days=30)
CLIP = b"RIFF-clip"


@pytest.fixture
def audio(tmp_path: Path) -> DirectoryAudioStore:
    return DirectoryAudioStore(tmp_path / "audio")


@pytest.fixture
def retention(database: Database, audio: DirectoryAudioStore) -> Retention:
    return Retention(database, audio, dry_run=False)


def publish(audio: DirectoryAudioStore, tmp_path: Path, submission: int, evaluation: int) -> None:
    clip = tmp_path / "clip"
    clip.write_bytes(CLIP)
    audio.publish(SubmissionId(submission), EvaluationId(evaluation), {"audio/0.wav": clip})


def failed_attempt(store: Store, queue: SubmissionQueue, block: int = 100) -> Claim:
    store.submit(new_submission(block))
    claim = queue.claim()
    assert claim is not None
    queue.fail(claim, ServiceCode.MODEL_REFUSED, public="large", log="what it printed")
    return claim


def score(dsn: str, claim: Claim, protocol: str) -> None:
    """Put a score of this attempt on record, with one sample and its clip."""
    run_sql(
        dsn,
        """
        INSERT INTO results (evaluation_id, submission_id, competition_id, block, protocol,
            prompts_digest, score, low, high, wer, human_likeness, scored, unscored, details)
        VALUES (%s, %s, 'tts', 1, %s, repeat('b', 64), 0.5, 0.4, 0.6, 0, 0.5, 1, 0, '{}')
        """,
        claim.evaluation_id,
        claim.submission_id,
        protocol * 64,
    )
    run_sql(
        dsn,
        """
        INSERT INTO samples (evaluation_id, prompt_index, text, prompt, outcome, audio, truncated,
            components)
        VALUES (%s, 0, 'Good morning.', '{}', 'scored', %s, false, '{}')
        """,
        claim.evaluation_id,
        f"{claim.submission_id}/{claim.evaluation_id}/00000.wav",
    )


def grow_old(dsn: str) -> None:
    run_sql(dsn, "UPDATE evaluations SET ended_at = ended_at - interval '31 days'")
    for table in ("telemetry_reports", "event_reports"):
        run_sql(dsn, f"UPDATE {table} SET received_at = received_at - interval '31 days'")


def there(audio: DirectoryAudioStore) -> set[int]:
    return {attempt.evaluation for attempt in audio.attempts()}


def test_only_the_newest_score_of_a_submission_keeps_its_audio(
    store: Store,
    queue: SubmissionQueue,
    audio: DirectoryAudioStore,
    retention: Retention,
    dsn: str,
    tmp_path: Path,
) -> None:
    first = failed_attempt(store, queue)
    run_sql(dsn, "ALTER TABLE submissions DISABLE TRIGGER submissions_transition")
    run_sql(dsn, "UPDATE submissions SET status = 'QUEUED'")
    second = queue.claim()
    assert second is not None
    queue.fail(second, ServiceCode.MODEL_REFUSED, public="large")
    unscored = failed_attempt(store, queue, 200)
    score(dsn, first, "a")
    score(dsn, second, "c")
    for claim in (first, second, unscored):
        publish(audio, tmp_path, claim.submission_id, claim.evaluation_id)
    grow_old(dsn)
    amounts = retention.audio(MONTH)
    assert there(audio) == {second.evaluation_id}
    assert amounts.removed == Amount(2, 2 * len(CLIP))
    assert amounts.kept == Amount(1, len(CLIP))
    rows = run_sql(dsn, "SELECT evaluation_id FROM samples WHERE audio IS NOT NULL")
    assert rows == [(second.evaluation_id,)]


def test_what_is_young_in_work_or_unknown_stays(
    store: Store,
    queue: SubmissionQueue,
    audio: DirectoryAudioStore,
    retention: Retention,
    tmp_path: Path,
) -> None:
    young = failed_attempt(store, queue)
    store.submit(new_submission(200))
    active = queue.claim()
    assert active is not None
    for claim in (young, active):
        publish(audio, tmp_path, claim.submission_id, claim.evaluation_id)
    publish(audio, tmp_path, 999, 999)
    amounts = retention.audio(MONTH)
    assert there(audio) == {young.evaluation_id, active.evaluation_id, 999}
    assert amounts.unknown == Amount(1, len(CLIP))


def test_old_logs_go_and_what_failed_stays(
    store: Store, queue: SubmissionQueue, retention: Retention, dsn: str
) -> None:
    claim = failed_attempt(store, queue)
    grow_old(dsn)
    young = failed_attempt(store, queue, 200)
    assert retention.logs(MONTH) == Amount(1, len("what it printed"))
    (old,) = store.attempts(claim.submission_id)
    assert (old.log, old.failure_code) == (None, "MODEL_REFUSED")
    assert store.attempts(young.submission_id)[0].log == "what it printed"
    assert retention.logs(MONTH) == Amount()


def test_old_reports_go_in_as_many_pieces_as_it_takes(
    store: Store, retention: Retention, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    reporter = Reporter(uid=1, hotkey=None, coldkey=None, git_commit=None, bittensor_version=None)
    for number in range(5):
        store.record_telemetry(reporter, {"number": number})
    store.record_event(reporter, {"what": "old"})
    grow_old(dsn)
    store.record_event(reporter, {"what": "new"})
    assert retention.reports(MONTH).entries == 6
    left = run_sql(
        dsn,
        "SELECT payload FROM telemetry_reports UNION ALL SELECT payload FROM event_reports",
    )
    assert left == [({"what": "new"},)]


def test_the_command_counts_first_and_removes_when_told(
    store: Store,
    queue: SubmissionQueue,
    dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    audio = DirectoryAudioStore(tmp_path / "var" / "audio")
    claim = failed_attempt(store, queue)
    publish(audio, tmp_path, claim.submission_id, claim.evaluation_id)
    grow_old(dsn)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTGRES_URL", dsn)
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))
    assert script.main(["--dry-run"]) == 0
    assert "9 bytes" in capsys.readouterr().out
    assert there(audio) == {claim.evaluation_id}
    assert store.attempts(claim.submission_id)[0].log is not None
    assert script.main([]) == 0
    assert there(audio) == set()
    assert store.attempts(claim.submission_id)[0].log is None
