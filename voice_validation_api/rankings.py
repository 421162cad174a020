"""The order of a competition's submissions, read anew when it has changed.

A rank depends on every entry before it. So the whole order is kept, as three numbers per entry,
and only the entries of a page are read in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Final, NamedTuple

from scoring.competition import tied_ranks
from voice_validation_api.database import Database
from voice_validation_api.paging import MAX_OFFSET
from voice_validation_api.records import LeaderboardEntry
from voice_validation_api.store import MAX_PAGE

MAX_RANKED: Final = MAX_OFFSET + MAX_PAGE
"""The best so many are ranked; no page goes further."""


@dataclass(frozen=True)
class _Version:
    scores: int
    newest: int | None
    round: int | None


@dataclass(frozen=True)
class _Order:
    protocol: str | None
    ids: tuple[int, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


class _Bounds(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class _Ranking:
    version: _Version
    protocol: str | None
    ids: tuple[int, ...]
    ranks: tuple[int, ...]


class Rankings:
    """The rankings of all competitions: of each one's newest round, or without rounds under the
    protocol of its newest score."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._known: dict[str, _Ranking] = {}

    def page(
        self, competition_id: str, *, limit: int, offset: int
    ) -> tuple[str | None, tuple[LeaderboardEntry, ...]]:
        """The protocol, and the entries from ``offset`` on; those that tie share a rank.

        Raises DatabaseUnavailableError.
        """
        ranking = self._current(competition_id)
        part = slice(offset, offset + limit)
        params = {
            "ids": list(ranking.ids[part]),
            "ranks": list(ranking.ranks[part]),
            "protocol": ranking.protocol,
        }
        return ranking.protocol, self._database.fetch(
            LeaderboardEntry, "ranked_submissions", params
        )

    def _current(self, competition_id: str) -> _Ranking:
        params = {"competition_id": competition_id}
        version = self._database.fetch_one(_Version, "ranking_version", params)
        assert version is not None
        known = self._known.get(competition_id)
        if known is not None and known.version == version:
            return known
        with self._lock:
            # The version is older than the order: at worst the order is read once more.
            order = self._database.fetch_one(
                _Order, "ranking_order", {**params, "limit": MAX_RANKED}
            )
            assert order is not None
            ranks = tied_ranks([*map(_Bounds, order.lows, order.highs)])
            ranking = _Ranking(
                version,
                order.protocol,
                order.ids,
                tuple(rank for rank in ranks if rank is not None),
            )
            self._known[competition_id] = ranking
            return ranking
