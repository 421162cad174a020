"""A worker's canary: on a real queue, through the real launcher, with small programs for scores."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from service_helpers import run_sql, wait_until
from worker_bench import SCORES, Bench, wait_for_go

from voice_validation_api.canary import RETRY
from voice_validation_api.canary_ledger import Verdict, newest_checks
from voice_validation_api.status import SubmissionStatus

COUNTED = """
if request["prompts"]["kind"] == "listed":
    with open({log!r}, "a") as log: log.write("canary\\n")
else:
    with open({log!r}, "a") as log: log.write("submission\\n")
answer()
"""
CANARY: dict[str, Any] = {"canary": True, "calibration": False}


def counted(bench: Bench) -> tuple[str, Path]:
    """A program that scores and leaves a line about what, and where it does."""
    log = bench.path / "evaluations"
    return COUNTED.format(log=str(log)), log


def verdict(bench: Bench) -> tuple[Verdict, str]:
    (check,) = newest_checks(bench.database)
    return check.verdict, check.detail


def test_the_canary_goes_first_and_its_first_score_is_trusted(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    submission = bench.submit("first")
    program, log = counted(bench)
    with caplog.at_level(logging.WARNING):
        bench.work(program, canary=True)
    assert log.read_text().split() == ["canary", "submission"]
    assert "trusted on first use" in caplog.text
    assert bench.current(submission).status is SubmissionStatus.COMPLETED
    assert run_sql(bench.dsn, "SELECT score, wer, human_likeness FROM canary_scores") == [
        (0.375, 0.25, 0.5)
    ]
    assert verdict(bench) == (Verdict.HEALTHY, "")


def test_a_worker_that_drifts_takes_no_work_until_it_measures_right_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.work(SCORES, canary=True)
    run_sql(bench.dsn, "UPDATE canary_scores SET score = score + 0.04")
    submission = bench.submit("patient")
    with bench.worker(SCORES, **CANARY) as worker:
        worker.run()
        assert worker.pause_reason == "canary"
        assert bench.current(submission).status is SubmissionStatus.QUEUED
        assert bench.current(submission).attempts == 0
        (critical,) = [r for r in caplog.records if r.levelno == logging.CRITICAL]
        assert "score 0.3750, known 0.4150" in critical.getMessage()
        assert verdict(bench)[0] is Verdict.DRIFTED

        # The operator takes the new score for right.
        run_sql(bench.dsn, "DELETE FROM canary_scores")
        worker.run()
        assert worker.pause_reason == "canary", "it is not time yet"
        bench.now += RETRY.total_seconds()
        worker.run()
        assert worker.pause_reason is None
    assert verdict(bench)[0] is Verdict.HEALTHY
    assert bench.current(submission).status is SubmissionStatus.COMPLETED


def test_a_worker_is_counted_while_it_is_there_and_as_ill_while_it_drifts(bench: Bench) -> None:
    def counts() -> tuple[int, int, int]:
        workers = bench.store.queue_state().workers
        return workers.alive, workers.busy, workers.ill

    assert counts() == (0, 0, 0)
    bench.work(SCORES, canary=True)
    assert counts() == (0, 0, 0), "it has ended"
    run_sql(bench.dsn, "UPDATE canary_scores SET score = score + 0.04")
    with bench.working(SCORES, **CANARY, drain=False):
        wait_until(lambda: counts() == (1, 0, 1))
        run_sql(bench.dsn, "UPDATE canary_scores SET score = score - 0.04")
        bench.now += RETRY.total_seconds()
        wait_until(lambda: counts() == (1, 0, 0))
        bench.stops.soon.set()
    assert counts() == (0, 0, 0)


def test_a_worker_that_evaluates_is_busy_and_one_that_died_is_forgotten(bench: Bench) -> None:
    bench.submit("long")
    with bench.working(wait_for_go(bench.mark)):
        wait_until(bench.mark.exists)
        workers = bench.store.queue_state().workers
        assert (workers.alive, workers.busy, workers.ill) == (1, 1, 0)
        # A long evaluation is longer than the silence of the dead.
        run_sql(bench.dsn, "UPDATE worker_presence SET seen_at = now() - interval '1 hour'")
        assert bench.store.queue_state().workers == workers
        run_sql(bench.dsn, "UPDATE submissions SET lease_expires_at = now() - interval '1 hour'")
        workers = bench.store.queue_state().workers
        assert (workers.alive, workers.busy, workers.ill) == (0, 0, 0)
        run_sql(bench.dsn, "UPDATE submissions SET lease_expires_at = now() + interval '1 hour'")
        Path(f"{bench.mark}-go").touch()


@pytest.mark.parametrize(
    ("figure", "by", "drifts"),
    [
        ("score", 0.029, False),
        ("score", -0.031, True),
        ("wer", 0.029, False),
        ("wer", 0.031, True),
        ("human_likeness", -0.029, False),
        ("human_likeness", 0.031, True),
    ],
)
def test_every_figure_is_held_to_the_tolerance(
    bench: Bench, figure: str, by: float, drifts: bool
) -> None:
    bench.work(SCORES, canary=True)
    run_sql(bench.dsn, f"UPDATE canary_scores SET {figure} = {figure} + %s", by)
    bench.work(SCORES, canary=True)
    assert verdict(bench)[0] is (Verdict.DRIFTED if drifts else Verdict.HEALTHY)


def test_the_canary_is_measured_again_every_day(bench: Bench) -> None:
    program, log = counted(bench)
    with bench.worker(program, **CANARY) as worker:
        for seconds in (0, 1, 86_398, 1, 1):
            bench.now += seconds
            worker.run()
    assert log.read_text().split() == ["canary", "canary"]


def test_a_canary_that_cannot_be_scored_stops_claiming_and_is_tried_again(bench: Bench) -> None:
    submission = bench.submit("unlucky")
    broken = bench.path / "broken"
    broken.touch()
    program = f"if os.path.exists({str(broken)!r}): sys.exit('no engine')\nanswer()"
    with bench.worker(program, **CANARY) as worker:
        worker.run()
        assert worker.pause_reason == "canary"
        told, detail = verdict(bench)
        assert told is Verdict.UNMEASURED
        assert "no engine" in detail
        assert bench.current(submission).status is SubmissionStatus.QUEUED
        broken.unlink()
        bench.now += RETRY.total_seconds()
        worker.run()
    assert verdict(bench)[0] is Verdict.HEALTHY
    assert bench.current(submission).status is SubmissionStatus.COMPLETED


def test_another_protocol_has_a_score_of_its_own(bench: Bench) -> None:
    bench.work(SCORES, canary=True)
    bench.work(
        """
        result["protocol_digest"], errors["substitutions"] = "e" * 64, 2
        result["aggregate"]["wer"] = 0.5
        for sample in samples: sample["wer"] = 0.5
        answer()
        """,
        canary=True,
    )
    assert verdict(bench)[0] is Verdict.HEALTHY
    assert run_sql(bench.dsn, "SELECT count(*) FROM canary_scores") == [(2,)]


def test_after_an_evaluation_ran_out_of_time_the_canary_is_asked_first(bench: Bench) -> None:
    bench.submit("slow", block=1)
    bench.submit("next", block=2)
    log = bench.path / "evaluations"
    program = f"""
if request["prompts"]["kind"] == "seeded" and not os.path.exists({str(log)!r} + "-slow"):
    pathlib.Path({str(log)!r} + "-slow").touch()
    time.sleep(600)
{COUNTED.format(log=str(log))}
"""
    bench.work(program, canary=True, wall_seconds=2.0)
    assert log.read_text().split() == ["canary", "canary", "submission"]


def test_the_time_limit_follows_the_base_model_on_this_machine(bench: Bench) -> None:
    submission = bench.submit("endless")
    base = bench.path / "base"
    base.mkdir()
    with bench.worker(
        "time.sleep(600) if request['prompts']['kind'] == 'seeded' else answer()",
        canary_dir=base,
        wall_factor=2.0,
        wall_floor_seconds=0.1,
        **CANARY,
    ) as worker:
        worker.run()
        assert worker.canary is not None
        pace = worker.canary.state.pace
        assert pace is not None
    (attempt,) = bench.store.attempts(submission.id)
    assert attempt.failure_code == "TIME_LIMIT"
    # An error of ours: a machine that stumbled looks the same from outside.
    assert bench.current(submission).status is SubmissionStatus.QUEUED


def test_a_voice_says_nothing_about_the_time_that_models_need(bench: Bench) -> None:
    with bench.worker(SCORES, **CANARY) as worker:
        worker.run()
        assert worker.canary is not None
        assert worker.canary.state.pace is None


def test_the_canary_is_given_the_same_work_whatever_submissions_get(bench: Bench) -> None:
    seen = bench.path / "seen"
    program = f"pathlib.Path({str(seen)!r}).write_text(json.dumps(request['prompts'])); answer()"
    bench.work(program, canary=True)
    first = json.loads(seen.read_text())
    bench.work(program, canary=True, prompt_seed="another", prompt_count=7)
    assert json.loads(seen.read_text()) == first


def test_a_stop_ends_the_canary_and_judges_nothing(bench: Bench) -> None:
    with bench.worker("time.sleep(600)", canary_interval=timedelta(days=1), **CANARY) as worker:
        assert worker.canary is not None
        bench.stops.soon.set()
        assert not worker.canary.is_healthy()
        assert worker.pause_reason is None
    assert newest_checks(bench.database) == ()
