"""Which rows of a board somebody wants to see, in which order; all of it stands in the address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final
from urllib.parse import urlencode

from voice_validation_api.pages.board import Board, Row

PAGE_ROWS: Final = 50
NEW_DAYS: Final = 7


class Sort(str, Enum):
    """A column to sort by, the better end first."""

    RANK = "rank"
    MINER = "miner"
    MODEL = "model"
    SCORE = "score"
    WER = "wer"
    LIKENESS = "likeness"
    WIN_RATE = "win_rate"
    WEIGHT = "weight"
    AGE = "age"


class Show(str, Enum):
    """Which rows."""

    ALL = "all"
    BEST = "best"
    """The best of each miner."""
    NEW = "new"
    """Scored in the last week."""
    EARNING = "earning"
    """Those with weight."""


_KEYS: Final[dict[Sort, Callable[[Row], Any]]] = {
    Sort.RANK: lambda row: -row.score,
    Sort.MINER: lambda row: row.hotkey.lower(),
    Sort.MODEL: lambda row: row.name.lower(),
    Sort.SCORE: lambda row: -row.score,
    Sort.WER: lambda row: row.wer,
    Sort.LIKENESS: lambda row: -row.likeness,
    Sort.WIN_RATE: lambda row: -1.0 if row.win_rate is None else -row.win_rate - 2.0,
    Sort.WEIGHT: lambda row: -1.0 if row.weight is None else -row.weight - 2.0,
    Sort.AGE: lambda row: -row.recorded_at.timestamp(),
}
_ANCHORED: Final = {Sort.RANK, Sort.SCORE, Sort.WER, Sort.LIKENESS}


@dataclass(frozen=True)
class Choice:
    """What an address asks for. ``page`` starts at 1."""

    text: str = ""
    show: Show = Show.ALL
    sort: Sort = Sort.RANK
    reverse: bool = False
    page: int = 1

    def href(self, **changes: Any) -> str:
        """The address of this choice with changes; what is as usual is left out."""
        choice = replace(self, **changes)
        asked = {
            "q": choice.text,
            "show": choice.show.value if choice.show is not Show.ALL else "",
            "sort": choice.sort.value if choice.sort is not Sort.RANK else "",
            "reverse": "1" if choice.reverse else "",
            "page": str(choice.page) if choice.page > 1 else "",
        }
        return "/?" + urlencode({key: value for key, value in asked.items() if value})

    def sorted_by(self, sort: Sort) -> str:
        """The address that a click on a column's head leads to: again turns the order round."""
        reverse = self.sort is sort and not self.reverse
        return self.href(sort=sort, reverse=reverse, page=1)

    def direction(self, sort: Sort) -> str:
        """The value of ``aria-sort`` for a column."""
        if self.sort is not sort:
            return "none"
        return "descending" if self.reverse else "ascending"


@dataclass(frozen=True)
class Selected:
    """One page of what was chosen. ``found`` counts submissions on all pages."""

    rows: tuple[Row, ...]
    found: int
    page: int
    pages: int


def select(board: Board, choice: Choice, now: datetime) -> Selected:
    """The rows of one page. Anchors stand among them where the order is one of figures."""
    rows = [row for row in board.rows if _is_shown(row, choice, now)]
    found = len(rows)
    pages = max(1, -(-found // PAGE_ROWS))
    page = min(choice.page, pages)
    key = _KEYS[choice.sort]
    rows.sort(key=key, reverse=choice.reverse)
    start = (page - 1) * PAGE_ROWS
    part = rows[start : start + PAGE_ROWS]
    if choice.sort in _ANCHORED and not choice.text:
        # An anchor stands on the page on which its neighbours are.
        first = key(part[0]) if part and page > 1 else None
        last = key(part[-1]) if part and page < pages else None
        part += [
            anchor for anchor in board.anchors if _is_between(key(anchor), first, last, choice)
        ]
        part.sort(key=key, reverse=choice.reverse)
    return Selected(tuple(part), found, page, pages)


def _is_between(key: float, first: float | None, last: float | None, choice: Choice) -> bool:
    sign = -1.0 if choice.reverse else 1.0
    after = first is None or sign * key >= sign * first
    return after and (last is None or sign * key < sign * last)


def _is_shown(row: Row, choice: Choice, now: datetime) -> bool:
    if choice.show is Show.BEST and not row.best_of_miner:
        return False
    if choice.show is Show.NEW and now - row.recorded_at > timedelta(days=NEW_DAYS):
        return False
    if choice.show is Show.EARNING and not row.weight:
        return False
    text = choice.text.strip().lower()
    return not text or any(
        text in field.lower() for field in (row.hotkey, row.name, row.revision or "")
    )
