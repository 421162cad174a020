"""Every database call about rounds.

Each step of a round is one transaction, guarded by the state that it leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from scoring.competition import Candidate, Weights
from scoring.competition.rounds import RoundTimes
from voice_validation_api.database import Database
from voice_validation_api.records import SubmissionId
from voice_validation_api.rounds.records import (
    Drawn,
    Entry,
    ListedRound,
    NewEntry,
    NewestWeights,
    Published,
    RunningRound,
)


class RoundMovedError(Exception):
    """Somebody else moved the round on; nothing was written."""

    def __init__(self, number: int) -> None:
        super().__init__(f"round {number} was moved on by somebody else")


@dataclass(frozen=True)
class _Id:
    id: SubmissionId


@dataclass(frozen=True)
class _Number:
    number: int | None


@dataclass(frozen=True)
class _Absentee:
    submission_id: SubmissionId


class RoundLedger:
    """The rounds of one competition. Every method may raise ``DatabaseUnavailableError``."""

    def __init__(self, database: Database, competition_id: str) -> None:
        self._database = database
        self._competition = {"competition_id": competition_id}

    # For the keeper

    def unpinned(self) -> tuple[SubmissionId, ...]:
        """Submissions, of whatever competition, without a pinned block."""
        return tuple(row.id for row in self._database.fetch(_Id, "unpinned_submissions", {}))

    def pin(self, ids: Sequence[SubmissionId], block: int) -> None:
        """These had been pinned when ``block`` was final."""
        with self._database.transaction() as transaction:
            transaction.execute("pin_submissions", {"ids": list(ids), "block": block})

    def running(self) -> RunningRound | None:
        """The round that is not over, if there is one."""
        return self._database.fetch_one(RunningRound, "running_round", self._competition)

    def newest_number(self) -> int | None:
        """The number of the last round, whatever became of it."""
        row = self._database.fetch_one(_Number, "newest_round", self._competition)
        return None if row is None else row.number

    def published(self, limit: int) -> tuple[Published, ...]:
        """The newest published rounds, oldest first."""
        params = {**self._competition, "limit": limit}
        return self._database.fetch(Published, "published_rounds", params)[::-1]

    def candidates(self, start_block: int) -> tuple[Candidate, ...]:
        """What no round has scored and was pinned before ``start_block``."""
        params = {**self._competition, "start_block": start_block}
        return self._database.fetch(Candidate, "round_candidates", params)

    def absentees(self, allowed_misses: int) -> tuple[SubmissionId, ...]:
        """What was scored, then missing, and less than ``allowed_misses`` times in a row."""
        params = {**self._competition, "allowed": allowed_misses}
        rows = self._database.fetch(_Absentee, "round_absentees", params)
        return tuple(row.submission_id for row in rows)

    def drawn(self, ids: Sequence[SubmissionId]) -> tuple[Drawn, ...]:
        """These submissions, in the order of their ids."""
        return self._database.fetch(Drawn, "drawn_submissions", {"ids": list(ids)})

    def open(self, times: RoundTimes, entries: Sequence[NewEntry]) -> None:
        """Fix who takes part. Raises RefusedByDatabaseError where that round exists already."""
        key = {**self._competition, "number": times.number}
        with self._database.transaction() as transaction:
            transaction.execute("insert_round", {**self._competition, **asdict(times)})
            rows = [
                (*key.values(), entry.submission_id, entry.coldkey, entry.absence)
                for entry in entries
            ]
            transaction.insert_many("insert_round_entries", rows)
            transaction.execute("count_misses", key)
            transaction.execute("queue_entries", key)
            transaction.execute("withhold_submissions", self._competition)

    def withhold(self) -> None:
        """See to it that nothing is claimed outside of a round that scores."""
        with self._database.transaction() as transaction:
            transaction.execute("withhold_submissions", self._competition)

    def seed(self, number: int, *, block_hash: str, seed: str) -> None:
        """OPEN to SCORING: the entries may be claimed. Raises RoundMovedError."""
        params = {**self._competition, "number": number, "seed_block_hash": block_hash}
        with self._database.transaction() as transaction:
            if transaction.execute("seed_round", {**params, "seed": seed}) == 0:
                raise RoundMovedError(number)
            transaction.execute("release_entries", params)
            transaction.execute("wake_workers", {})

    def entries(self, number: int) -> tuple[Entry, ...]:
        """Everybody in a round, in the order of their ids."""
        params = {**self._competition, "number": number}
        return self._database.fetch(Entry, "entries_of_round", params)

    def take_back(self, number: int) -> int:
        """Take every entry back from the worker that holds it; returns how many."""
        with self._database.transaction() as transaction:
            params = {**self._competition, "number": number}
            return transaction.execute("take_back_entries", params)

    def close(
        self,
        number: int,
        *,
        closed_block: int,
        protocol: str,
        published: Published,
        weights: Weights,
        scored: Sequence[int],
    ) -> None:
        """SCORING to CLOSED, for ever. Raises RoundMovedError, and nothing is written then."""
        params = {**self._competition, "number": number}
        closing = {
            "closed_block": closed_block,
            "protocol": protocol,
            "digest": published.digest,
            "published": published.published,
            "weights": weights.model_dump(mode="json"),
        }
        with self._database.transaction() as transaction:
            if transaction.execute("close_round", {**params, **closing}) == 0:
                raise RoundMovedError(number)
            transaction.execute("mark_scored", {"number": number, "ids": list(scored)})
            transaction.execute("withdraw_entries", params)

    def void(self, number: int) -> None:
        """End a round of which nothing can be published. Raises RoundMovedError."""
        params = {**self._competition, "number": number}
        with self._database.transaction() as transaction:
            if transaction.execute("void_round", params) == 0:
                raise RoundMovedError(number)
            transaction.execute("withdraw_entries", params)

    # For everybody

    def listed(self, *, limit: int, offset: int) -> tuple[ListedRound, ...]:
        """Rounds, newest first."""
        params = {**self._competition, "limit": limit, "offset": offset}
        return self._database.fetch(ListedRound, "listed_rounds", params)

    def round(self, number: int) -> Published | None:
        """A published round."""
        params = {**self._competition, "number": number}
        return self._database.fetch_one(Published, "published_round", params)

    def newest_weights(self) -> NewestWeights | None:
        """What followed from all rounds when the newest one closed."""
        return self._database.fetch_one(NewestWeights, "newest_weights", self._competition)
