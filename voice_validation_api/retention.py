"""Forgets what nobody needs any more: audio of scores that do not count, old logs, old reports.

A score counts while its submission has no newer one; its audio stays, because people listen to it.
Everything is done in bounded pieces, so that the service goes on meanwhile, and an interrupted run
is simply taken up by the next. Every method may raise ``database.DatabaseUnavailableError``, and
OSError where the audio store does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

from scoring.competition import Rules
from voice_validation_api.audio_base import AudioStore, StoredAttempt
from voice_validation_api.database import Database

BATCH: Final = 500


@dataclass(frozen=True)
class Amount:
    """How many things, and how many bytes they take."""

    entries: int = 0
    size_bytes: int = 0

    def plus(self, attempts: list[StoredAttempt]) -> Amount:
        """With the audio of these attempts."""
        size = sum(attempt.size_bytes for attempt in attempts)
        return Amount(self.entries + len(attempts), self.size_bytes + size)


@dataclass(frozen=True)
class AudioAmounts:
    """Attempts with audio: those that go, those that stay, and those of no known evaluation.

    The unknown are left alone: a run against the wrong database must not empty the store.
    """

    removed: Amount = Amount()
    kept: Amount = Amount()
    unknown: Amount = Amount()


@dataclass(frozen=True)
class _Id:
    id: int


class Retention:
    """What is older than an age goes; with ``dry_run`` it is counted only."""

    def __init__(self, database: Database, audio: AudioStore, *, dry_run: bool) -> None:
        self._database = database
        self._audio = audio
        self._dry_run = dry_run

    def audio(self, age: timedelta) -> AudioAmounts:
        """Audio of attempts that ended so long ago and whose score does not count."""
        amounts = AudioAmounts()
        for batch in _batches(self._audio.attempts()):
            known = self._which("known_evaluations", batch, {})
            expendable = self._which(
                "expendable_audio", batch, {"age": age, "audited_rounds": Rules().window}
            )
            going = [a for a in batch if a.evaluation in expendable]
            if not self._dry_run:
                self._remove(going)
            amounts = AudioAmounts(
                removed=amounts.removed.plus(going),
                kept=amounts.kept.plus([a for a in batch if a.evaluation in known - expendable]),
                unknown=amounts.unknown.plus([a for a in batch if a.evaluation not in known]),
            )
        return amounts

    def logs(self, age: timedelta) -> Amount:
        """Logs of evaluations that ended so long ago; what failed, and why, stays."""
        amount = self._measure("old_logs", age)
        if not self._dry_run:
            self._repeat("remove_old_logs", age)
        return amount

    def reports(self, age: timedelta) -> Amount:
        """What validators reported so long ago."""
        amount = self._measure("old_reports", age)
        if not self._dry_run:
            self._repeat("remove_old_telemetry", age)
            self._repeat("remove_old_events", age)
        return amount

    def _remove(self, attempts: list[StoredAttempt]) -> None:
        # First the references: a clip that nobody refers to is found again by the next run.
        with self._database.transaction() as transaction:
            transaction.execute("forget_audio", {"ids": [a.evaluation for a in attempts]})
        for attempt in attempts:
            self._audio.discard(attempt.submission, attempt.evaluation)

    def _which(
        self, name: str, batch: list[StoredAttempt], params: dict[str, timedelta | int]
    ) -> frozenset[int]:
        ids = [attempt.evaluation for attempt in batch]
        rows = self._database.fetch(_Id, name, {**params, "ids": ids})
        return frozenset(row.id for row in rows)

    def _measure(self, name: str, age: timedelta) -> Amount:
        return self._database.fetch_one(Amount, name, {"age": age}) or Amount()

    def _repeat(self, name: str, age: timedelta) -> None:
        touched = BATCH
        while touched == BATCH:
            with self._database.transaction() as transaction:
                touched = transaction.execute(name, {"age": age, "limit": BATCH})


def _batches(attempts: Iterator[StoredAttempt]) -> Iterator[list[StoredAttempt]]:
    while batch := list(islice(attempts, BATCH)):
        yield batch
