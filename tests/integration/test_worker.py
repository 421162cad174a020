"""What a worker does with submissions, and with everything that goes wrong around them."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hub_helpers import RunningHub
from service_helpers import run_sql, wait_until
from worker_bench import SCORES, SLEEPS, Bench, wait_for_go

from voice_validation_api.database import Database
from voice_validation_api.postgres import ensure_postgres
from voice_validation_api.postgres_place import locate
from voice_validation_api.status import AttemptOutcome, Priority, SubmissionStatus
from voice_validation_api.store import Store
from voice_validation_api.workspaces import worker_workspaces


def test_a_submission_is_downloaded_evaluated_and_recorded(bench: Bench) -> None:
    submission = bench.submit("good")
    bench.work(SCORES)
    row = bench.current(submission)
    assert row.status is SubmissionStatus.COMPLETED
    assert row.weights_digest == "d" * 64
    result = bench.store.result(submission.id)
    assert result is not None
    assert (result.score, result.wer, result.scored) == (0.375, 0.25, 2)
    assert result.details["synthesiser"]["name"] == "model"
    samples = bench.store.samples(submission.id, limit=10)
    assert [s.transcript for s in samples] == ["good", "good"]
    for sample in samples:
        assert sample.audio is not None
        assert (bench.audio / sample.audio).read_bytes() == b"RIFF"
    (attempt,) = bench.store.attempts(submission.id)
    assert attempt.outcome is AttemptOutcome.COMPLETED
    assert attempt.log == "progress 2/2\n"
    assert list((bench.path / "var" / "work").glob("*/*")) == [], "the workspace is gone"


def test_the_evaluator_sees_the_pinned_revision(bench: Bench) -> None:
    old = bench.publish("moving")
    bench.hub.publish("moving", {"config.json": b"{}"})
    submission = bench.submit("moving", old)
    bench.work(
        """
        model = pathlib.Path(request["synthesiser"]["model_dir"])
        assert json.loads((model / "config.json").read_text())["model_type"] == "parler_tts"
        answer()
        """
    )
    assert bench.current(submission).status is SubmissionStatus.COMPLETED


def test_a_model_that_cannot_be_run_fails_for_good_with_the_reason(bench: Bench) -> None:
    submission = bench.submit("unloadable")
    bench.work(
        """
        model = request["synthesiser"]["model_dir"]
        failure = {"code": 205, "message": f"{model}: no lm_heads", "remedy": "Add it."}
        (out / "result.json").write_text(json.dumps({"status": "FAILED", "failure": failure}))
        sys.exit(2)
        """
    )
    row = bench.current(submission)
    assert (row.status, row.failure_kind) == (SubmissionStatus.FAILED, 2)
    assert row.failure_message == (
        "(2) The model cannot be loaded or run: model: no lm_heads Add it."
    )
    assert row.failure_code == "TENSOR_MISMATCH"


def test_no_evaluator_sees_the_keys_of_the_audio_store(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AUDIO_STORE", "s3://clips")
    submission = bench.submit("curious")
    bench.work("print('sees', sorted(os.environ)); answer()")
    (attempt,) = bench.store.attempts(submission.id)
    assert attempt.log is not None
    assert "sees" in attempt.log
    assert "AWS_" not in attempt.log
    assert "AUDIO_STORE" not in attempt.log


def test_an_evaluator_that_writes_into_the_model_costs_a_retry_and_not_the_cache(
    bench: Bench,
) -> None:
    submission = bench.submit("spoilt")
    bench.work(
        """
        model = pathlib.Path(request["synthesiser"]["model_dir"]) / "config.json"
        model.chmod(0o644)
        model.write_text("{}")
        answer()
        """
    )
    row = bench.current(submission)
    assert (row.status, row.failure_code) == (SubmissionStatus.QUEUED, "WORKER_ERROR")
    again = bench.submit("spoilt", submission.revision, block=200)
    bench.work(
        """
        model = pathlib.Path(request["synthesiser"]["model_dir"])
        assert json.loads((model / "config.json").read_text())["model_type"] == "parler_tts"
        answer()
        """
    )
    assert bench.current(again).status is SubmissionStatus.COMPLETED


@pytest.mark.parametrize(
    ("program", "code", "detail"),
    [
        ("sys.exit(0)", "NO_RESULT", "exit code 0"),
        ("os.kill(os.getpid(), 9)", "NO_RESULT", "exit code 137"),
        ("answer(); sys.exit(3)", "RESULT_INVALID", "exit code 3"),
        ("result['aggregate']['score'] = float('nan'); answer()", "RESULT_INVALID", "score"),
        ("os.symlink('/etc/passwd', out / 'result.json')", "RESULT_INVALID", "cannot be read"),
        ("time.sleep(600)", "TIME_LIMIT", "no result in"),
        (
            "open(out / 'result.json', 'w').write(json.dumps({'status': 'FAILED', 'failure':"
            " {'code': 303, 'message': 'no memory'}})); sys.exit(3)",
            "OUT_OF_MEMORY",
            "no memory",
        ),
    ],
)
def test_an_error_of_ours_is_retried_and_never_failed(
    bench: Bench, program: str, code: str, detail: str
) -> None:
    submission = bench.submit("innocent")
    bench.work(program, wall_seconds=1.0 if "sleep" in program else 60.0)
    row = bench.current(submission)
    assert (row.status, row.priority) == (SubmissionStatus.QUEUED, Priority.RETRY)
    assert (row.failure_kind, row.failure_code) == (3, code)
    assert row.failure_message is not None
    assert "will be retried (1 of 3)" in row.failure_message
    (attempt,) = bench.store.attempts(submission.id)
    assert attempt.outcome is AttemptOutcome.RETRIED
    assert attempt.detail is not None
    assert detail in attempt.detail
    assert not (bench.audio / str(submission.id)).exists()


def test_a_repository_that_went_away_is_the_miners(bench: Bench) -> None:
    revision = bench.publish("deleted")
    bench.hub.api().delete_repo("alice/deleted")
    submission = bench.submit("deleted", revision)
    bench.work(SCORES)
    row = bench.current(submission)
    assert (row.status, row.failure_kind) == (SubmissionStatus.FAILED, 1)
    assert row.failure_code == "REPOSITORY_NOT_FOUND"
    assert row.failure_message is not None
    assert "alice/deleted does not exist or is not public" in row.failure_message


def test_a_revision_that_is_not_there_is_the_miners(bench: Bench) -> None:
    bench.publish("squashed")
    submission = bench.submit("squashed", "f" * 40)
    bench.work(SCORES)
    row = bench.current(submission)
    assert (row.status, row.failure_kind) == (SubmissionStatus.FAILED, 1)
    assert row.failure_code == "REVISION_NOT_FOUND"


def test_a_repository_that_was_gated_is_the_miners(bench: Bench) -> None:
    revision = bench.publish("gated")
    bench.hub.api().update_repo_settings("alice/gated", gated="auto")
    submission = bench.submit("gated", revision)
    bench.work(SCORES)
    assert bench.current(submission).failure_code == "REPOSITORY_NOT_PUBLIC"


def test_a_repository_that_outgrew_its_limit_is_refused(bench: Bench) -> None:
    submission = bench.submit("large")
    bench.work(SCORES, max_repository_bytes=100)
    row = bench.current(submission)
    assert (row.failure_kind, row.failure_code) == (2, "MODEL_REFUSED")


def test_a_hub_that_is_down_is_ours(bench: Bench) -> None:
    submission = bench.submit("unreachable")
    bench.work(SCORES, hub_endpoint="http://127.0.0.1:9")
    row = bench.current(submission)
    assert (row.status, row.failure_kind) == (SubmissionStatus.QUEUED, 3)
    assert row.failure_code == "HUB_UNREACHABLE"


def test_a_worker_that_loses_its_lease_kills_the_evaluation_and_writes_nothing(
    bench: Bench,
) -> None:
    submission = bench.submit("contested")
    with bench.working(SLEEPS.format(mark=str(bench.mark)), lease=timedelta(seconds=1)):
        wait_until(bench.mark.exists)
        # Another worker took it back and finished it.
        run_sql(
            bench.dsn,
            """UPDATE submissions SET fence = fence + 1, worker_id = NULL,
               lease_expires_at = NULL, status = 'COMPLETED'""",
        )
    assert bench.current(submission).status is SubmissionStatus.COMPLETED
    assert bench.store.result(submission.id) is None
    assert run_sql(bench.dsn, "SELECT outcome FROM evaluations") == [(None,)]


def test_a_worker_told_to_stop_now_hands_back_what_it_evaluates(bench: Bench) -> None:
    submission = bench.submit("interrupted")
    with bench.working(SLEEPS.format(mark=str(bench.mark))):
        wait_until(bench.mark.exists)
        bench.stops.soon.set()
        bench.stops.now.set()
    row = bench.current(submission)
    assert (row.status, row.priority, row.attempts) == (
        SubmissionStatus.QUEUED,
        Priority.NORMAL,
        0,
    )
    (attempt,) = bench.store.attempts(submission.id)
    assert attempt.outcome is AttemptOutcome.HANDED_BACK


def test_a_worker_told_to_stop_soon_finishes_what_it_evaluates(bench: Bench) -> None:
    first, second = bench.submit("first", block=1), bench.submit("second", block=2)
    with bench.working(wait_for_go(bench.mark)):
        wait_until(bench.mark.exists)
        bench.stops.soon.set()
        Path(f"{bench.mark}-go").touch()
    assert bench.current(first).status is SubmissionStatus.COMPLETED
    assert bench.current(second).status is SubmissionStatus.QUEUED


def test_connections_that_break_in_mid_flight_cost_nothing(bench: Bench) -> None:
    submission = bench.submit("steady")
    with bench.working(wait_for_go(bench.mark), lease=timedelta(seconds=1)):
        wait_until(bench.mark.exists)
        run_sql(
            bench.dsn,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        Path(f"{bench.mark}-go").touch()
    assert bench.current(submission).status is SubmissionStatus.COMPLETED
    assert len(bench.store.attempts(submission.id)) == 1


def test_a_server_killed_and_restarted_in_mid_flight_costs_nothing(
    worker_hub: RunningHub, var_dir: Path, tmp_path: Path
) -> None:
    with (
        ensure_postgres(None, var_dir) as dsn,
        closing(Database(dsn, size=4, application="tests")) as database,
    ):
        bench = Bench(dsn, database, Store(database), worker_hub, tmp_path)
        submission = bench.submit("robust")
        with bench.working(wait_for_go(bench.mark), lease=timedelta(seconds=1)):
            wait_until(bench.mark.exists)
            pid_file = locate(var_dir).data / "postmaster.pid"
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
            # The evaluation ends while there is no server to tell.
            Path(f"{bench.mark}-go").touch()
            wait_until(lambda: list(bench.audio.glob("*/*/*.wav")) != [])
            with ensure_postgres(None, var_dir):
                done = SubmissionStatus.COMPLETED
                wait_until(lambda: bench.current(submission).status is done)
        assert [a.outcome for a in bench.store.attempts(submission.id)] == [
            AttemptOutcome.COMPLETED
        ]


def test_a_waiting_worker_starts_at_once_when_something_is_queued(bench: Bench) -> None:
    with bench.working(SCORES, drain=False, poll=timedelta(minutes=10)):
        listening = "SELECT 1 FROM pg_stat_activity WHERE query = 'LISTEN submission_queued'"
        wait_until(lambda: run_sql(bench.dsn, listening) != [])
        submission = bench.submit("woken")
        wait_until(lambda: bench.current(submission).status is SubmissionStatus.COMPLETED)
        bench.stops.soon.set()


def test_an_idle_worker_scores_the_reference_voices_once(bench: Bench) -> None:
    with bench.worker(SCORES) as worker:
        worker.run()
    anchors = bench.store.calibrations("tts")
    assert {anchor.voice for anchor in anchors} == {
        "hibari",
        "hibari-noise",
        "hibari-wrong-text",
    }
    with bench.worker("sys.exit('not again')") as worker:
        worker.run()
    assert bench.store.calibrations("tts") == anchors


def test_anchors_share_the_protocol_of_submissions_on_the_same_work(bench: Bench) -> None:
    submission = bench.submit("anchored")
    with bench.worker(SCORES) as worker:
        worker.run()
    result = bench.store.result(submission.id)
    assert result is not None
    assert {anchor.protocol for anchor in bench.store.calibrations("tts")} == {result.protocol}


def test_anchors_of_an_older_protocol_are_measured_again(bench: Bench) -> None:
    with bench.worker(SCORES) as worker:
        worker.run()
    bench.submit("newer")
    with bench.worker("result['protocol_digest'] = 'e' * 64; answer()") as worker:
        worker.run()
    anchors = bench.store.calibrations("tts")
    assert [anchor.protocol for anchor in anchors] == ["e" * 64] * 3


def test_a_voice_that_cannot_be_scored_holds_up_nobody(bench: Bench) -> None:
    submission = bench.submit("unhurried")
    with bench.worker(
        "sys.exit(3) if request['synthesiser']['kind'] == 'voice' else answer()"
    ) as worker:
        worker.run()
    assert bench.store.calibrations("tts") == ()
    assert bench.current(submission).status is SubmissionStatus.COMPLETED


def test_a_full_disk_empties_the_cache_and_then_stops_claiming(bench: Bench) -> None:
    bench.submit("cached")
    bench.work(SCORES)
    submission = bench.submit("patient", block=200)
    bench.free_bytes = 10**9
    with bench.worker(SCORES, calibration=False) as worker:
        worker.run()
        assert worker.pause_reason == "disk"
        assert worker.models.entries() == []
        assert bench.current(submission).status is SubmissionStatus.QUEUED
        bench.free_bytes = 10**10
        worker.run()
        assert worker.pause_reason is None
    assert bench.current(submission).status is SubmissionStatus.COMPLETED


def test_what_a_killed_worker_left_on_disk_is_removed(tmp_path: Path) -> None:
    with worker_workspaces(tmp_path) as alive, alive.fresh() as kept:
        abandoned = tmp_path / "abandoned"
        abandoned.mkdir()
        (abandoned / "lock").touch()
        (abandoned / "model").write_bytes(bytes(1000))
        with worker_workspaces(tmp_path):
            assert not abandoned.exists()
            assert kept.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
