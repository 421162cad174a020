"""Every database call that only the pages make. Each may raise DatabaseUnavailableError."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from voice_validation_api.canary_ledger import CanaryCheck, newest_checks
from voice_validation_api.database import Database
from voice_validation_api.records import RecentEntry, StoredSample, SubmissionId


@dataclass(frozen=True)
class PageState:
    """What the pages show changes only when one of these does."""

    scores: int
    newest_score: int | None
    newest_round: int | None
    newest_anchor: datetime | None
    newest_submission: int | None
    newest_attempt: int | None
    newest_end: datetime | None
    running: int
    queued: int
    present: int
    ill: int

    @property
    def of_board(self) -> tuple[object, ...]:
        """The part that a ranking depends on."""
        return (self.scores, self.newest_score, self.newest_round, self.newest_anchor)

    @property
    def digest(self) -> str:
        """A short text that is another one whenever anything is."""
        return hashlib.blake2b(repr(self).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Day:
    """One day (UTC) of a competition. ``best``: the best score recorded on it, if any."""

    day: date
    submissions: int
    scores: int
    best: float | None


@dataclass(frozen=True)
class BestOfRound:
    """The winner of a published round, and the best reference voice on the same prompts."""

    number: int
    ended_at: datetime
    score: float
    low: float
    high: float
    anchor: float | None


@dataclass(frozen=True)
class PartSpread:
    """A part of the score over many submissions: least, lower quartile, median, upper quartile,
    most."""

    name: str
    spread: tuple[float, float, float, float, float]


class PageQueries:
    """What the pages ask beyond what the API's endpoints do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self, competition_id: str) -> PageState:
        """Where everything is now."""
        params = {"competition_id": competition_id}
        state = self._database.fetch_one(PageState, "page_state", params)
        assert state is not None
        return state

    def submissions_of(self, competition_id: str, hotkey: str) -> tuple[RecentEntry, ...]:
        """A miner's newest 200 submissions, newest commitment first."""
        params = {"competition_id": competition_id, "hotkey": hotkey}
        return self._database.fetch(RecentEntry, "submissions_of_hotkey", params)

    def days(self, competition_id: str, protocol: str | None) -> tuple[Day, ...]:
        """The last 90 days on which something happened, oldest first."""
        params = {"competition_id": competition_id, "protocol": protocol}
        return self._database.fetch(Day, "days_of_submissions", params)

    def rounds(self, competition_id: str) -> tuple[BestOfRound, ...]:
        """The newest 200 published rounds, oldest first."""
        params = {"competition_id": competition_id}
        return self._database.fetch(BestOfRound, "best_of_rounds", params)

    def canaries(self) -> tuple[CanaryCheck, ...]:
        """The newest check of every worker, the unhealthy first."""
        return newest_checks(self._database)

    def parts(self, protocol: str, ids: Sequence[SubmissionId]) -> tuple[PartSpread, ...]:
        """How the parts of the score are spread over these submissions."""
        params = {"protocol": protocol, "ids": list(ids)}
        return self._database.fetch(PartSpread, "parts_of_field", params)

    def worst_samples(
        self, submission_id: SubmissionId, *, limit: int, offset: int
    ) -> tuple[StoredSample, ...]:
        """The samples behind the newest score of a submission, the worst first."""
        params = {"submission_id": submission_id, "limit": limit, "offset": offset}
        return self._database.fetch(StoredSample, "worst_samples", params)
