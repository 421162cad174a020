"""What the service's public side keeps in Postgres and asks of it.

The workers' side (claims, leases, results) is ``submission_queue.py``. Every method may raise
``database.DatabaseUnavailableError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from voice_validation_api.database import Database, DatabaseUnavailableError
from voice_validation_api.failures import AnyCode, kind_of, miner_message
from voice_validation_api.records import (
    Attempt,
    Calibration,
    JsonObject,
    MinerboardEntry,
    MinerboardRow,
    NewSubmission,
    QueueState,
    RecentEntry,
    Reporter,
    Result,
    RunningLease,
    ShownAttempt,
    StoredSample,
    Submission,
    SubmissionId,
    WorkerCounts,
)
from voice_validation_api.status import SubmissionStatus

MAX_PAGE = 1_000


@dataclass(frozen=True)
class _Counts:
    waiting: int
    retrying: int
    parked: int
    completed: int
    failed: int


@dataclass(frozen=True)
class _ProtocolRecord:
    record: str


@dataclass(frozen=True)
class _One:
    one: int


class Store:
    """Submissions, scores, reports and boards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ping(self) -> None:
        """Raises DatabaseUnavailableError unless Postgres answers."""
        self._database.fetch_one(_One, "ping", {})

    # Submissions

    def submit(self, new: NewSubmission) -> Submission:
        """Queue an admitted submission, or find the one that is there already.

        An existing one stays as it is, whatever its status.
        """
        return self._get_or_create(new, status=SubmissionStatus.QUEUED)

    def record_precheck_failure(self, new: NewSubmission, code: AnyCode, detail: str) -> Submission:
        """Record a submission that admission refuses: FAILED, with what the miner reads.

        ``code`` must be a fault of the repository or the model (ValueError otherwise): an error
        of ours refuses nobody. ``detail`` says what was wrong and what to do. An existing
        submission stays as it is.
        """
        if kind_of(code).is_ours:
            raise ValueError(f"{code.name} is an error of ours and fails no submission")
        return self._get_or_create(
            new,
            status=SubmissionStatus.FAILED,
            failure_kind=kind_of(code).value,
            failure_code=code.name,
            failure_message=miner_message(code, detail, attempts=1),
        )

    def get(self, submission_id: SubmissionId) -> Submission | None:
        """One submission."""
        return self._database.fetch_one(Submission, "get_submission", {"id": submission_id})

    def newest_by_hash(
        self,
        *,
        competition_id: str,
        submission_hash: str,
        namespace: str,
        name: str,
        config_template: str,
        hotkey: str | None = None,
    ) -> Submission | None:
        """The newest submission under a hash and the names that it was computed from."""
        return self._database.fetch_one(
            Submission,
            "newest_submission_by_hash",
            {
                "competition_id": competition_id,
                "submission_hash": submission_hash,
                "namespace": namespace,
                "name": name,
                "config_template": config_template,
                "hotkey": hotkey,
            },
        )

    def recent(self, *, limit: int, offset: int = 0) -> tuple[RecentEntry, ...]:
        """The newest submissions first."""
        return self._database.fetch(RecentEntry, "recent_submissions", _page(limit, offset))

    def attempts(self, submission_id: SubmissionId) -> tuple[Attempt, ...]:
        """Every attempt at a submission, first to last. For the operator: it holds logs."""
        params = {"submission_id": submission_id}
        return self._database.fetch(Attempt, "attempts_of_submission", params)

    def attempts_shown(self, submission_id: SubmissionId) -> tuple[ShownAttempt, ...]:
        """The newest hundred attempts at a submission, first to last, without their logs."""
        params = {"submission_id": submission_id}
        return self._database.fetch(ShownAttempt, "attempts_shown", params)

    def queue_state(self) -> QueueState:
        """How many submissions wait and are done, which are held by workers, and how many of these
        are there."""
        counts = self._database.fetch_one(_Counts, "queue_counts", {})
        if counts is None:
            raise DatabaseUnavailableError("queue_counts gave no row")
        workers = self._database.fetch_one(WorkerCounts, "worker_counts", {})
        if workers is None:
            raise DatabaseUnavailableError("worker_counts gave no row")
        running = self._database.fetch(RunningLease, "running_leases", {})
        return QueueState(**asdict(counts), workers=workers, running=running)

    # Scores

    def result(
        self, submission_id: SubmissionId, *, prompts_digest: str | None = None
    ) -> Result | None:
        """The newest score of a submission, or its newest on the prompts of that digest."""
        params = {"submission_id": submission_id, "prompts_digest": prompts_digest}
        return self._database.fetch_one(Result, "newest_result", params)

    def protocol(self, digest: str) -> str | None:
        """What the protocol with that digest consists of, as canonical JSON."""
        row = self._database.fetch_one(_ProtocolRecord, "protocol_record", {"digest": digest})
        return None if row is None else row.record

    def samples(
        self,
        submission_id: SubmissionId,
        *,
        limit: int,
        offset: int = 0,
        prompts_digest: str | None = None,
    ) -> tuple[StoredSample, ...]:
        """The samples behind ``result``, in the order of the prompts."""
        which = {"submission_id": submission_id, "prompts_digest": prompts_digest}
        params = {**which, **_page(limit, offset)}
        return self._database.fetch(StoredSample, "samples_of_submission", params)

    def sample(
        self, submission_id: SubmissionId, prompt_index: int, *, prompts_digest: str | None = None
    ) -> StoredSample | None:
        """The sample of one prompt behind ``result``."""
        which = {"submission_id": submission_id, "prompts_digest": prompts_digest}
        params = {**which, "prompt_index": prompt_index}
        return self._database.fetch_one(StoredSample, "sample_of_submission", params)

    def calibrations(self, competition_id: str) -> tuple[Calibration, ...]:
        """The anchors of the scale, newest first.

        An anchor belongs beside a leaderboard of the same ``protocol`` only.
        """
        params = {"competition_id": competition_id}
        return self._database.fetch(Calibration, "calibrations", params)

    # Reports

    def record_telemetry(self, reporter: Reporter, payload: JsonObject) -> None:
        """Keep what a validator says about itself."""
        self._record_report("insert_telemetry_report", reporter, payload)

    def record_event(self, reporter: Reporter, payload: JsonObject) -> None:
        """Keep what a validator saw."""
        self._record_report("insert_event_report", reporter, payload)

    def update_minerboard(self, competition_id: str, entries: Sequence[MinerboardEntry]) -> None:
        """Replace the list of miners of a competition.

        Raises ValueError for an entry of another competition or a uid that is there twice.
        """
        if any(entry.competition_id != competition_id for entry in entries):
            raise ValueError(f"every entry must belong to competition {competition_id!r}")
        if len({entry.uid for entry in entries}) != len(entries):
            raise ValueError("a uid is there twice")
        rows = [
            (e.competition_id, e.uid, e.hotkey, e.submission_hash, e.block, e.details)
            for e in entries
        ]
        with self._database.transaction() as transaction:
            transaction.execute("clear_minerboard", {"competition_id": competition_id})
            transaction.insert_many("insert_minerboard", rows)

    def update_miner(self, entry: MinerboardEntry) -> None:
        """Write one miner's entry; the others stay."""
        with self._database.transaction() as transaction:
            transaction.execute("upsert_minerboard_entry", asdict(entry))

    def minerboard(
        self, competition_id: str, *, limit: int, offset: int = 0
    ) -> tuple[MinerboardRow, ...]:
        """The operator's list by uid, each entry beside its newest submission's status."""
        params = {"competition_id": competition_id, **_page(limit, offset)}
        return self._database.fetch(MinerboardRow, "minerboard", params)

    def _get_or_create(
        self,
        new: NewSubmission,
        *,
        status: SubmissionStatus,
        failure_kind: int | None = None,
        failure_code: str | None = None,
        failure_message: str | None = None,
    ) -> Submission:
        params = {
            **asdict(new),
            "status": status.value,
            "failure_kind": failure_kind,
            "failure_code": failure_code,
            "failure_message": failure_message,
        }
        # The second time finds the row that another session inserted during the first.
        for _ in range(2):
            row = self._database.fetch_one(Submission, "submit_submission", params)
            if row is not None:
                return row
        raise DatabaseUnavailableError("a submission was neither inserted nor found")

    def _record_report(self, name: str, reporter: Reporter, payload: JsonObject) -> None:
        with self._database.transaction() as transaction:
            transaction.execute(name, {**asdict(reporter), "payload": payload})


def _page(limit: int, offset: int) -> dict[str, int]:
    if not 1 <= limit <= MAX_PAGE or offset < 0:
        raise ValueError(f"limit must be 1 to {MAX_PAGE} and offset not negative")
    return {"limit": limit, "offset": offset}
