"""The whole ranking of a competition in memory, so that it can be searched and sorted at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from voice_validation_api.pages.queries import PageQueries, PageState
from voice_validation_api.rankings import MAX_RANKED, Rankings
from voice_validation_api.records import Calibration, LeaderboardEntry, SubmissionId
from voice_validation_api.registration import UNPINNED
from voice_validation_api.rounds.ledger import RoundLedger
from voice_validation_api.rounds.outcome import Outcome, newest_outcome
from voice_validation_api.store import Store

LOOK_SECONDS: Final = 1.0
"""How often at most the database is asked whether anything has changed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A scored submission, or a reference voice: that has neither rank, id nor hotkey.

    ``verdict``, ``win_rate`` and ``weight`` are of the newest round, if it decided about it.
    """

    name: str
    score: float
    low: float
    high: float
    wer: float
    likeness: float
    recorded_at: datetime
    rank: int | None = None
    id: SubmissionId | None = None
    hotkey: str = ""
    revision: str | None = None
    status: str = "COMPLETED"
    best_of_miner: bool = False
    verdict: str | None = None
    win_rate: float | None = None
    weight: float | None = None

    @property
    def is_anchor(self) -> bool:
        """Whether it only shows what the scale means."""
        return self.id is None


@dataclass(frozen=True)
class Board:
    """The ranking under one protocol, best first, and the anchors of its scale, best first."""

    competition_id: str
    protocol: str | None
    rows: tuple[Row, ...]
    anchors: tuple[Row, ...]
    round: int | None

    @property
    def has_weights(self) -> bool:
        """Whether a round was published, from which weights follow."""
        return any(row.weight is not None for row in self.rows)

    def row_of(self, submission_id: int) -> Row | None:
        """The row of a submission, if it is ranked."""
        return next((row for row in self.rows if row.id == submission_id), None)


class Boards:
    """The newest board, read from the database when something in it has changed."""

    def __init__(
        self,
        queries: PageQueries,
        rankings: Rankings,
        store: Store,
        rounds: RoundLedger,
        competition_id: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queries, self._rankings, self._store = queries, rankings, store
        self._rounds = rounds
        self._competition = competition_id
        self._clock = clock
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._known: tuple[PageState, Board] | None = None

    def current(self) -> Board:
        """The board; at most a second old. Raises DatabaseUnavailableError."""
        return self._current()[1]

    def state(self) -> PageState:
        """Where everything was when the board was looked at. Raises DatabaseUnavailableError."""
        return self._current()[0]

    def _current(self) -> tuple[PageState, Board]:
        known = self._known
        if known is not None and self._clock() - self._looked_at < LOOK_SECONDS:
            return known
        # One looks; the others are shown what is known, and wait only where nothing is.
        if not self._lock.acquire(blocking=known is None) and known is not None:
            return known
        try:
            return self._look()
        finally:
            self._lock.release()

    def _look(self) -> tuple[PageState, Board]:
        now, known = self._clock(), self._known
        if known is not None and now - self._looked_at < LOOK_SECONDS:
            return known
        state = self._queries.state(self._competition)
        same = known is not None and known[0].of_board == state.of_board
        board = known[1] if same and known is not None else self._read()
        self._known, self._looked_at = (state, board), now
        return state, board

    def _read(self) -> Board:
        protocol, entries = self._rankings.page(self._competition, limit=MAX_RANKED, offset=0)
        anchors = self._store.calibrations(self._competition)
        if protocol is None and anchors:
            protocol = anchors[0].protocol
        outcome = newest_outcome(self._rounds)
        return Board(
            self._competition,
            protocol,
            _rows(entries, outcome),
            _anchors(tuple(anchor for anchor in anchors if anchor.protocol == protocol)),
            outcome.number,
        )


def _rows(entries: tuple[LeaderboardEntry, ...], outcome: Outcome) -> tuple[Row, ...]:
    seen: set[str] = set()
    rows = []
    for entry in entries:
        is_best = entry.hotkey not in seen
        seen.add(entry.hotkey)
        decided = outcome.decided.get(entry.submission_id)
        rows.append(
            Row(
                rank=entry.rank,
                id=entry.submission_id,
                hotkey=entry.hotkey,
                name=f"{entry.namespace}/{entry.name}",
                revision=None if entry.revision == UNPINNED else entry.revision,
                score=entry.score,
                low=entry.low,
                high=entry.high,
                wer=entry.wer,
                likeness=entry.human_likeness,
                recorded_at=entry.recorded_at,
                status=entry.status.value,
                best_of_miner=is_best,
                verdict=None if decided is None else decided.verdict,
                win_rate=None if decided is None else decided.win_rate,
                weight=None if decided is None else decided.weight,
            )
        )
    return tuple(rows)


def _anchors(calibrations: tuple[Calibration, ...]) -> tuple[Row, ...]:
    """The newest of each voice, best first; they come newest first."""
    newest: dict[str, Calibration] = {}
    for calibration in calibrations:
        newest.setdefault(calibration.voice, calibration)
    rows = [
        Row(
            name=voice.voice,
            score=voice.score,
            low=voice.low,
            high=voice.high,
            wer=voice.wer,
            likeness=voice.human_likeness,
            recorded_at=voice.recorded_at,
        )
        for voice in newest.values()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.score, row.name)))
