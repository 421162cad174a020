"""Finds near copies among the sketches in the database, and tells them to whoever publishes.

It needs the owner's role: a worker hands sketches in and sees no others.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from scoring.competition import NearCopy
from scoring.competition.records import MAX_NEAR_COPIES
from scoring.contract import Sketch
from voice_validation_api.copies import Evidence, Pair, Shelf, near_copy
from voice_validation_api.database import Database
from voice_validation_api.records import SubmissionId

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Sketched:
    submission_id: SubmissionId
    weights: Sketch
    behaviour: Sketch

    @property
    def pair(self) -> Pair:
        return self.weights, self.behaviour


@dataclass(frozen=True, kw_only=True)
class _Other:
    submission_id: SubmissionId
    other_id: SubmissionId
    hotkey: str
    coldkey: str
    pinned_block: int
    priority_block: int
    reason: str


class CopyLedger:
    """Sketches and copies of one competition. Every method may raise DatabaseUnavailableError."""

    def __init__(self, database: Database, competition_id: str) -> None:
        self._database = database
        self._competition = {"competition_id": competition_id}

    def find(self) -> int:
        """Hold all new sketches against the others and keep what is found; how many were held."""
        held = 0
        while new := self._database.fetch(_Sketched, "uncompared_sketches", self._competition):
            alike: dict[tuple[str, int], list[_Sketched]] = defaultdict(list)
            for sketched in new:
                alike[sketched.weights.base_digest, sketched.weights.version].append(sketched)
            for (base_digest, version), group in alike.items():
                self._compare(group, self._comparable(base_digest, version))
            held += len(new)
        return held

    def near_copies(self, ids: Sequence[int]) -> dict[int, tuple[NearCopy, ...]]:
        """The confirmed near copies of each of these submissions that has any."""
        found: dict[int, list[NearCopy]] = defaultdict(list)
        for row in self._database.fetch(_Other, "near_copies", {"ids": list(ids)}):
            if len(found[row.submission_id]) < MAX_NEAR_COPIES:
                found[row.submission_id].append(
                    NearCopy(
                        submission_id=row.other_id,
                        hotkey=row.hotkey,
                        coldkey=row.coldkey,
                        priority_block=row.priority_block,
                        pinned_block=row.pinned_block,
                        evidence=row.reason,
                    )
                )
        return {number: tuple(copies) for number, copies in found.items()}

    def _comparable(self, base_digest: str, version: int) -> tuple[_Sketched, ...]:
        params = {**self._competition, "base_digest": base_digest, "version": json.dumps(version)}
        return self._database.fetch(_Sketched, "comparable_sketches", params)

    def _compare(self, new: Sequence[_Sketched], known: Sequence[_Sketched]) -> None:
        shelf = Shelf.of([sketched.pair for sketched in known])
        for sketched in new:
            rows = []
            for index in shelf.candidates(sketched.weights):
                other = known[index]
                if other.submission_id == sketched.submission_id:
                    continue
                evidence = near_copy(sketched.pair, other.pair, shelf)
                if evidence is not None:
                    rows.append(_row(sketched.submission_id, other.submission_id, evidence))
            with self._database.transaction() as transaction:
                if rows:
                    transaction.insert_many("insert_copies", rows)
                transaction.execute("sketch_compared", {"submission_id": sketched.submission_id})


def _row(one: SubmissionId, other: SubmissionId, evidence: Evidence) -> tuple[object, ...]:
    first, second = min(one, other), max(one, other)
    log.warning(
        "submissions %d and %d look like near copies: confirmed=%s",
        first,
        second,
        evidence.confirmed,
    )
    return first, second, evidence.confirmed, str(evidence), evidence.as_json()
