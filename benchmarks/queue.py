"""How many submissions a second do eight workers claim, and does history slow them? JSON last.

    python benchmarks/queue.py [--quick]

A Postgres of its own with its default, durable settings; worker processes with the service's own
``SubmissionQueue``. They claim all of 100,000 waiting submissions, in a database without history,
in one with 100,000 finished ones and in one with a million, and take turns with the baseline: the
claim as a SELECT ... LIMIT 1 FOR UPDATE followed by an UPDATE, which waits where ours skips. What
counts are ratios of one turn.

Exit codes: 0 within the aims; 1 an aim was missed.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# In place of this directory: this file is no stand-in for the standard library's queue.
sys.path[0] = str(ROOT)

import argparse  # noqa: E402
import json  # noqa: E402
import multiprocessing  # noqa: E402
import shutil  # noqa: E402
import statistics  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from contextlib import closing, contextmanager  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from datetime import timedelta  # noqa: E402
from multiprocessing.synchronize import Barrier  # noqa: E402
from typing import Any  # noqa: E402

import psycopg2  # noqa: E402
from psycopg2.extensions import make_dsn  # noqa: E402

from voice_validation_api.database import Database  # noqa: E402
from voice_validation_api.migrations import migrate  # noqa: E402
from voice_validation_api.postgres_server import embedded_server  # noqa: E402
from voice_validation_api.submission_queue import SubmissionQueue  # noqa: E402

WORKERS = 8
WAITING = 100_000
FINISHED = (0, 100_000, 1_000_000)
TURNS = 8
BASELINE_SECONDS = 5.0
AIM_RATE = 500.0
AIM_FLAT = 0.8
LEASE = timedelta(hours=1)

_FINISHED = """
INSERT INTO submissions (competition_id, hotkey, block, revision, namespace, name, config_template,
    submission_hash, status)
SELECT 'tts', md5(n::text), n, md5(n::text) || 'abcdef01', 'alice', 'voice', 'default', n::text,
    'COMPLETED'
FROM generate_series(1, %(count)s) AS n
"""
_ATTEMPTS = """
INSERT INTO evaluations (submission_id, fence, worker_id, ended_at, outcome)
SELECT id, 1, 'worker', now(), 'COMPLETED' FROM submissions
"""
_WAITING = """
INSERT INTO submissions (competition_id, hotkey, block, revision, namespace, name, config_template,
    submission_hash, status)
SELECT 'tts', md5(n::text), 2000000 + n, md5(n::text) || 'abcdef01', 'alice', 'voice', 'default',
    n::text, 'QUEUED'
FROM generate_series(1, %(count)s) AS n
"""
_BASELINE_INDEX = """
DROP INDEX submissions_queue;
CREATE INDEX submissions_queue ON submissions (priority, block, id) WHERE status = 'QUEUED'
"""
_BASELINE_SELECT = """
SELECT id FROM submissions
WHERE status = 'QUEUED' AND priority < 'PARKED' AND not_before <= now()
ORDER BY priority, block, id LIMIT 1 FOR UPDATE
"""
_BASELINE_UPDATE = """
UPDATE submissions
SET status = 'PRECHECK', fence = fence + 1, attempts = attempts + 1, worker_id = %s,
    lease_expires_at = now() + interval '1 hour', updated_at = now()
WHERE id = %s
"""
_BASELINE_INSERT = """
INSERT INTO evaluations (submission_id, fence, worker_id)
SELECT id, fence, worker_id FROM submissions WHERE id = %s
"""


@dataclass(frozen=True)
class Share:
    """What one worker claimed, and when it began and ended (seconds of the machine's clock)."""

    ids: tuple[int, ...]
    began: float
    ended: float


Claim = Callable[[str, int, int, Barrier], Share]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure the queue.")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the rows: a smoke test")
    quick = parser.parse_args(argv).quick
    scale = 50 if quick else 1
    waiting, history = WAITING // scale, [count // scale for count in FINISHED]
    with _server() as server:
        sides: list[tuple[str, Claim, str]] = [
            (str(count), _claim, _database(server, f"finished_{count}", count, waiting))
            for count in history
        ]
        baseline = _database(server, "baseline", 0, waiting)
        _run(baseline, _BASELINE_INDEX)
        sides.append(("baseline", _claim_waiting, baseline))
        rates = _turns(sides, waiting // TURNS)
    ours = [statistics.median(rates[str(count)]) for count in history]
    report: dict[str, Any] = {
        "benchmark": "queue",
        "workers": WORKERS,
        "waiting": waiting,
        "turns": TURNS,
        "claims_per_second": dict(zip(map(str, history), map(round, ours), strict=True)),
        "claims_per_second_by_turn": {
            side: [round(rate) for rate in rates[side]] for side in rates
        },
        "baseline": "SELECT LIMIT 1 FOR UPDATE without SKIP LOCKED, then UPDATE and INSERT",
        "ratio_vs_baseline": _ratio(rates, str(history[0]), "baseline"),
        "ratio_most_to_no_finished": _ratio(rates, str(history[-1]), str(history[0])),
        "ratio_last_to_first_turn": round(
            statistics.median(rates[str(count)][-1] / rates[str(count)][0] for count in history), 2
        ),
    }
    report["missed"] = missed = _missed(report)
    print(json.dumps(report))
    return 1 if missed and not quick else 0


@contextmanager
def _server() -> Iterator[str]:
    home = Path(tempfile.mkdtemp(prefix="queue-benchmark-"))
    try:
        # The account that runs the server must be able to enter.
        home.chmod(0o755)
        with embedded_server(home) as dsn:
            yield dsn
    finally:
        shutil.rmtree(home)


def _database(server: str, name: str, finished: int, waiting: int) -> str:
    """A database with a history."""
    _run(server, f"CREATE DATABASE {name}")
    dsn = str(make_dsn(server, dbname=name))
    migrate(dsn)
    # Rows are written as years of service leave them, not as a worker would.
    _run(dsn, "ALTER TABLE submissions DISABLE TRIGGER submissions_initial")
    _run(dsn, _FINISHED, count=finished)
    _run(dsn, _ATTEMPTS)
    _run(dsn, "ALTER TABLE submissions ENABLE TRIGGER submissions_initial")
    _run(dsn, _WAITING, count=waiting)
    _run(dsn, "VACUUM ANALYZE")
    print(f"made {name}", file=sys.stderr)
    return dsn


def _turns(sides: list[tuple[str, Claim, str]], claims: int) -> dict[str, list[float]]:
    """Claims per second of every side in every turn; the sides take turns on a busy machine."""
    rates: dict[str, list[float]] = {name: [] for name, _, _ in sides}
    seen: dict[str, set[int]] = {name: set() for name, _, _ in sides}
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        for turn in range(TURNS):
            for name, claim, dsn in sides:
                # Every process takes one task, because all wait for each other.
                start: Any = manager.Barrier(WORKERS)
                futures = [
                    pool.submit(claim, dsn, number, claims // WORKERS, start)
                    for number in range(WORKERS)
                ]
                shares = [future.result() for future in futures]
                ids = [number for share in shares for number in share.ids]
                if len(set(ids) - seen[name]) != len(ids):
                    raise AssertionError("a submission was claimed twice")
                seen[name] |= set(ids)
                began, ended = min(s.began for s in shares), max(s.ended for s in shares)
                rates[name].append(len(ids) / (ended - began))
                print(f"turn {turn} {name}: {rates[name][-1]:.0f} claims/s", file=sys.stderr)
    return rates


def _claim(dsn: str, number: int, claims: int, start: Barrier) -> Share:
    """The service's claim."""
    with closing(Database(dsn, size=1, application="benchmark")) as database:
        queue = SubmissionQueue(database, worker_id=f"worker-{number}", lease=LEASE)
        start.wait()
        ids, began = [], time.monotonic()
        while len(ids) < claims and (claim := queue.claim()) is not None:
            ids.append(int(claim.submission_id))
        return Share(tuple(ids), began, time.monotonic())


def _claim_waiting(dsn: str, number: int, claims: int, start: Barrier) -> Share:
    """The baseline; it is given so long, if it does not get its claims before."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        start.wait()
        ids, began = [], time.monotonic()
        while len(ids) < claims and time.monotonic() < began + BASELINE_SECONDS:
            with connection:
                cursor.execute(_BASELINE_SELECT)
                row = cursor.fetchone()
                # No row: another worker took the one that this one waited for.
                if row is not None:
                    cursor.execute(_BASELINE_UPDATE, (f"worker-{number}", row[0]))
                    cursor.execute(_BASELINE_INSERT, (row[0],))
            if row is not None:
                ids.append(row[0])
        return Share(tuple(ids), began, time.monotonic())


def _ratio(rates: dict[str, list[float]], one: str, other: str) -> float:
    pairs = zip(rates[one], rates[other], strict=True)
    return round(statistics.median(mine / theirs for mine, theirs in pairs), 2)


def _run(dsn: str, sql: str, **params: Any) -> None:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql, params or None)


def _missed(report: dict[str, Any]) -> list[str]:
    missed = []
    if (slowest := min(report["claims_per_second"].values())) < AIM_RATE:
        missed.append(f"{slowest} claims a second are below {AIM_RATE:.0f}")
    ratios = ("ratio_most_to_no_finished", "ratio_last_to_first_turn")
    missed += [f"{name} is below {AIM_FLAT}" for name in ratios if report[name] < AIM_FLAT]
    return missed


if __name__ == "__main__":
    sys.exit(main())
