"""Sixteen workers over ten thousand submissions, while everything around them breaks."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import queue_worker
from queue_helpers import insert_waiting
from service_helpers import run_sql

from voice_validation_api.migrations import migrate
from voice_validation_api.postgres_place import locate
from voice_validation_api.postgres_server import embedded_server
from voice_validation_api.worker_roles import WorkerRoles

ROWS = 10_000
WORKERS = 16
SEED = 20_261_121
KILLS, RESTARTS, CUTS, CLOCK_JUMPS = 60, 3, 30, 4
SHIFTS = ("-30d", "+5h", "-90m", "+400d")
LIMIT_SECONDS = 240.0  # on a busy machine
HERE = Path(__file__).parent
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)

Process = BaseProcess | subprocess.Popen[bytes]


@dataclass
class Site:
    """A server, the workers on it, and what was done to both."""

    dsn: str
    role: str
    var_dir: Path
    logs: Path
    chance: random.Random
    workers: dict[int, Process] = field(default_factory=dict)
    deeds: Counter[str] = field(default_factory=Counter)

    def start(self, place: int) -> None:
        """A new worker; those of the first places have a clock that is wrong."""
        self.deeds["workers started"] += 1
        name = f"worker-{self.deeds['workers started']}"
        args = (self.role, name, str(self.logs / name))
        if FAKETIME is not None and place < len(SHIFTS):
            self.deeds["of them with a wrong clock"] += 1
            self.workers[place] = subprocess.Popen(
                [sys.executable, str(HERE / "queue_worker.py"), *args],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])]),
                    "LD_PRELOAD": str(FAKETIME),
                    "FAKETIME": SHIFTS[place],
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                },
            )
        else:
            # Forked from a process that has imported everything: sixty starts must not take long.
            context = multiprocessing.get_context("forkserver")
            process = context.Process(target=queue_worker.work, args=args, daemon=True)
            process.start()
            self.workers[place] = process

    def ended(self) -> list[int]:
        """The places of workers that ended by themselves."""
        return [place for place, worker in self.workers.items() if _has_ended(worker)]

    def kill_a_worker(self) -> None:
        """SIGKILL, wherever it is in its work, and a successor."""
        self.deeds["workers killed"] += 1
        place = self.chance.randrange(WORKERS)
        _end(self.workers[place])
        self.start(place)

    def restart_postgres(self) -> None:
        """SIGKILL to the server; it recovers from its log."""
        self.deeds["Postgres killed"] += 1
        pid = int((locate(self.var_dir).data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        # To enter again brings it back; the test holds it, so leaving does not stop it.
        with embedded_server(self.var_dir):
            pass

    def cut_connections(self) -> None:
        """End a few sessions, whatever they are doing."""
        cut = run_sql(
            self.dsn,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'fault-worker' ORDER BY pid LIMIT %s OFFSET %s",
            self.chance.randrange(1, 5),
            self.chance.randrange(WORKERS),
        )
        self.deeds["connections cut"] += len(cut)

    def move_the_clock(self) -> None:
        """What the server sees when its clock jumps: every time it wrote down has moved."""
        self.deeds["clock moved"] += 1
        hours = self.chance.choice([-1, 1]) if self.deeds["clock moved"] < CLOCK_JUMPS else -2
        run_sql(
            self.dsn,
            "UPDATE submissions SET lease_expires_at = lease_expires_at + %s * interval '1 hour'"
            " WHERE lease_expires_at IS NOT NULL",
            hours,
        )


def _has_ended(worker: Process) -> bool:
    return (worker.exitcode if isinstance(worker, BaseProcess) else worker.poll()) is not None


def _end(worker: Process) -> None:
    worker.kill()
    if isinstance(worker, BaseProcess):
        worker.join()
    else:
        worker.wait()


@contextmanager
def site(var_dir: Path, logs: Path) -> Iterator[Site]:
    """A server of its own with the submissions, and sixteen workers under a worker's role."""
    with embedded_server(var_dir) as dsn:
        migrate(dsn)
        insert_waiting(dsn, ROWS)
        role = WorkerRoles(dsn).create("fault_worker", connections=100)
        site = Site(dsn, role, var_dir, logs, random.Random(SEED))
        try:
            for place in range(WORKERS):
                site.start(place)
            yield site
        finally:
            for worker in site.workers.values():
                _end(worker)


def schedule(chance: random.Random) -> list[tuple[int, str]]:
    """What happens when so many submissions are finished, in order."""
    faults = ["kill_a_worker"] * KILLS + ["cut_connections"] * CUTS
    faults += ["restart_postgres"] * RESTARTS + ["move_the_clock"] * CLOCK_JUMPS
    return sorted((chance.randrange(int(0.95 * ROWS)), fault) for fault in faults)


def finished(dsn: str) -> int:
    """How many are; and whoever waits for a retry has waited long enough."""
    run_sql(dsn, "UPDATE submissions SET not_before = now() WHERE not_before > now()")
    rows = run_sql(dsn, "SELECT count(*) FROM submissions WHERE status IN ('COMPLETED', 'FAILED')")
    return int(rows[0][0])


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_scored_twice(
    var_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    multiprocessing.get_context("forkserver").set_forkserver_preload(["queue_worker"])
    began = time.monotonic()
    with site(var_dir, tmp_path) as here:
        pending = schedule(here.chance)
        while (count := finished(here.dsn)) < ROWS:
            assert time.monotonic() < began + LIMIT_SECONDS, f"{count} finished: {here.deeds}"
            while pending and pending[0][0] <= count:
                _, fault = pending.pop(0)
                getattr(here, fault)()
            assert here.ended() == [], "workers ended that nobody had killed"
            time.sleep(0.1)
        assert pending == [], "the work was over before the faults"
        told = answers(tmp_path)
        attempts = run_sql(
            here.dsn, "SELECT submission_id, fence, outcome, failure_code FROM evaluations"
        )
        results = run_sql(here.dsn, "SELECT submission_id FROM results")
        statuses = dict(
            run_sql(here.dsn, "SELECT status, count(*)::integer FROM submissions GROUP BY 1")
        )
        samples = run_sql(here.dsn, "SELECT count(*), count(DISTINCT evaluation_id) FROM samples")
    outcomes = Counter(outcome for _, _, outcome, _ in attempts)
    scored = [number for number, _, outcome, _ in attempts if outcome == "COMPLETED"]
    kept = {(number, fence): outcome for number, fence, outcome, _ in attempts}
    forgotten = [claim for claim, word in told.settled.items() if kept.get(claim) != word]
    overruled = [claim for claim in told.lost if kept.get(claim) == "COMPLETED"]
    counts = {
        **here.deeds,
        "claims": len(attempts),
        "completed": statuses.get("COMPLETED", 0),
        "failed": statuses.get("FAILED", 0),
        "leases that ran out": sum(code == "WORKER_LOST" for *_, code in attempts),
        "writes refused to workers that had lost": len(told.lost),
        "duplicates": len(scored) - len(set(scored)) + len(results) - len({r for (r,) in results}),
        "lost": ROWS - sum(statuses.get(final, 0) for final in ("COMPLETED", "FAILED")),
        "answers that Postgres forgot": len(forgotten),
        "seconds": round(time.monotonic() - began, 1),
    }
    with capsys.disabled():
        sys.stdout.write("".join(f"\n  {name}: {count}" for name, count in counts.items()) + "\n")

    assert statuses == {"COMPLETED": ROWS - ROWS // 50, "FAILED": ROWS // 50}
    assert len(scored) == len(set(scored)) == len(results) == statuses["COMPLETED"]
    assert {number for (number,) in results} == set(scored)
    assert samples == [(len(results), len(results))]
    assert None not in outcomes, "an attempt is still open"
    assert forgotten == [], "a worker was told that its write was kept, and it was not"
    assert overruled == [], "a worker was told that it had lost, and its score was kept"
    assert told.claimed <= kept.keys()
    assert here.deeds["workers killed"] == KILLS
    assert here.deeds["Postgres killed"] == RESTARTS


@dataclass
class Told:
    """What workers were told: claims by submission and fence, and how they ended."""

    claimed: set[tuple[int, int]] = field(default_factory=set)
    settled: dict[tuple[int, int], str] = field(default_factory=dict)
    lost: set[tuple[int, int]] = field(default_factory=set)


def answers(logs: Path) -> Told:
    """All that the workers wrote down; no claim was ever given to two of them."""
    told = Told()
    for line in (line for log in logs.iterdir() for line in log.read_text().splitlines()):
        word, number, fence = line.split()
        claim = int(number), int(fence)
        if word == "CLAIMED":
            assert claim not in told.claimed, f"{claim} was given to two workers"
            told.claimed.add(claim)
        elif word == "LOST":
            told.lost.add(claim)
        else:
            told.settled[claim] = word
    return told


def test_no_clock_but_the_servers_enters_a_lease(dsn: str) -> None:
    """The functions of the workers take no point in time, and so cannot believe one."""
    arguments = run_sql(
        dsn,
        "SELECT proname, pg_get_function_arguments(oid) FROM pg_proc"
        " WHERE pronamespace = 'worker_api'::regnamespace",
    )
    assert "claim_submission" in dict(arguments)
    for name, taken in arguments:
        assert not any(kind in taken for kind in ("time", "date", "abstime")), name
