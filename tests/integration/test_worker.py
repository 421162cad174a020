"""A worker on a real queue and a real hub, with small programs in the evaluator's place."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hub_helpers import RunningHub, parler_files, running_hub
from service_helpers import new_submission, run_sql, wait_until

from utilities.hub import Hub
from voice_validation_api.audio_store import AudioStore
from voice_validation_api.calibration import Calibration
from voice_validation_api.canary import Canary
from voice_validation_api.canary_ledger import CanaryLedger
from voice_validation_api.database import Database
from voice_validation_api.disk_watch import DiskWatch
from voice_validation_api.evaluation import Evaluator
from voice_validation_api.launchers.process import ProcessLauncher
from voice_validation_api.model_cache import ModelCache
from voice_validation_api.postgres import ensure_postgres
from voice_validation_api.postgres_place import locate
from voice_validation_api.records import Submission
from voice_validation_api.settings import WorkerSettings
from voice_validation_api.status import AttemptOutcome, Priority, SubmissionStatus
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue
from voice_validation_api.wakeup import Stop, Wakeup
from voice_validation_api.worker import Stops, Worker
from voice_validation_api.workspaces import worker_workspaces

HEAD = """
import json, os, pathlib, sys, time
request = json.loads(pathlib.Path(sys.argv[sys.argv.index("--request") + 1]).read_text())
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
errors = {"substitutions": 1, "deletions": 0, "insertions": 0, "words": 4}
samples = [
    {"prompt": {"index": n, "text": "Good morning to you.", "description": "A calm voice."},
     "outcome": "scored", "audio": f"audio/{n:05d}.wav", "seconds": 1.0, "transcript": "good",
     "errors": errors, "wer": 0.25, "human_likeness": 0.5, "score": 0.375}
    for n in range(request["prompts"]["count"])
]
result = {
    "status": "COMPLETED", "samples": samples, "prompts_digest": "b" * 64,
    "protocol_digest": "c" * 64,
    "synthesiser": {"kind": "parler", "name": "model", "weights_digest": "d" * 64},
    "asr": {"engine": "faster-whisper", "model": "packaged", "version": "1", "digest": "a" * 64,
            "rehearsal": True},
    "aggregate": {"score": 0.375, "interval": {"low": 0.3, "high": 0.4}, "wer": 0.25,
                  "human_likeness": 0.5, "scored": len(samples), "unscored": 0},
}
def answer():
    (out / "audio").mkdir()
    for sample in samples:
        (out / sample["audio"]).write_bytes(b"RIFF")
    (out / "result.json").write_text(json.dumps(result))
"""
SCORES = "print('progress 2/2'); answer()"
SLEEPS = "pathlib.Path({mark!r}).touch(); time.sleep(600)"


def wait_for_go(mark: Path) -> str:
    """A program that makes ``mark``, and scores once there is a file ``mark``-go."""
    return f"""
        pathlib.Path({str(mark)!r}).touch()
        while not os.path.exists({str(mark) + "-go"!r}): time.sleep(0.01)
        answer()
    """


@dataclass
class Bench:
    """Everything that a worker needs, and the means to watch it."""

    dsn: str
    database: Database
    store: Store
    hub: RunningHub
    path: Path
    free_bytes: int = 10**12
    now: float = 0.0
    stops: Stops = field(default_factory=lambda: Stops(soon=Stop(), now=Stop()))

    @property
    def mark(self) -> Path:
        """A file that a program makes when it has begun."""
        return self.path / "mark"

    @property
    def audio(self) -> Path:
        return self.path / "var" / "audio"

    def publish(self, name: str) -> str:
        return self.hub.publish(name, parler_files())

    def submit(self, name: str, revision: str | None = None, block: int = 100) -> Submission:
        """Submit alice's repository ``name``, published first unless a revision is given."""
        revision = revision or self.publish(name)
        return self.store.submit(new_submission(block, name=name, revision=revision))

    def current(self, submission: Submission) -> Submission:
        found = self.store.get(submission.id)
        assert found is not None
        return found

    @contextmanager
    def worker(self, program: str, **changes: Any) -> Iterator[Worker]:
        script = self.path / "evaluator.py"
        script.write_text(HEAD + textwrap.dedent(program))
        settings = WorkerSettings(
            **{
                "drain": True,
                "canary": False,
                "prompt_count": 2,
                "hub_endpoint": self.hub.url,
                **changes,
            }
        )
        queue = SubmissionQueue(self.database, worker_id="worker", lease=settings.lease)
        evaluator = Evaluator(
            settings, ProcessLauncher([sys.executable, str(script)]), gpu=None, threads=1
        )
        audio = AudioStore(self.audio)
        models = ModelCache(
            self.path / "var" / "models",
            max_bytes=settings.cache_bytes,
            min_free_bytes=settings.min_free_bytes,
        )
        with worker_workspaces(self.path / "var" / "work") as workspaces:
            yield Worker(
                settings=settings,
                queue=queue,
                wakeup=Wakeup(self.dsn, self.stops.soon),
                hub=Hub(endpoint=settings.hub_endpoint),
                models=models,
                disk=DiskWatch(
                    low_bytes=settings.min_free_bytes,
                    free=lambda: self.free_bytes,
                    evict=models.evict,
                ),
                evaluator=evaluator,
                audio=audio,
                workspaces=workspaces,
                stops=self.stops,
                calibration=Calibration(queue, evaluator, audio, workspaces, self.stops.soon)
                if settings.calibration
                else None,
                canary=Canary(
                    CanaryLedger(self.database, worker_id="worker"),
                    evaluator,
                    workspaces,
                    interval=settings.canary_interval,
                    tolerance=settings.canary_tolerance,
                    stop=self.stops.soon,
                    clock=lambda: self.now,
                )
                if settings.canary
                else None,
            )

    def work(self, program: str, **changes: Any) -> None:
        """Run a worker until the queue is empty."""
        with self.worker(program, **{"calibration": False, **changes}) as worker:
            worker.run()

    @contextmanager
    def working(self, program: str, **changes: Any) -> Iterator[threading.Thread]:
        """Run a worker in a thread; at the end it must have stopped by itself."""
        with self.worker(program, **{"calibration": False, **changes}) as worker:
            thread = threading.Thread(target=worker.run, daemon=True)
            thread.start()
            try:
                yield thread
                thread.join(30)
                assert not thread.is_alive(), "the worker does not stop"
            finally:
                self.stops.soon.set()
                self.stops.now.set()
                thread.join(30)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def bench(dsn: str, database: Database, store: Store, hub: RunningHub, tmp_path: Path) -> Bench:
    return Bench(dsn, database, store, hub, tmp_path)


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
    hub: RunningHub, var_dir: Path, tmp_path: Path
) -> None:
    with (
        ensure_postgres(None, var_dir) as dsn,
        closing(Database(dsn, size=4, application="tests")) as database,
    ):
        bench = Bench(dsn, database, Store(database), hub, tmp_path)
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
