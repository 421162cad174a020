"""Boards for tests of the pages."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from voice_validation_api.pages.board import Board, Row
from voice_validation_api.records import SubmissionId

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)


def row(number: int, score: float, rank: int = 1, **changes: Any) -> Row:
    """A submission with an interval of 0.02 to both sides."""
    fields: dict[str, Any] = {
        "id": SubmissionId(number),
        "rank": rank,
        "hotkey": f"5key{number}",
        "name": f"miner{number}/voice",
        "revision": f"{number:040x}",
        "score": score,
        "low": score - 0.02,
        "high": score + 0.02,
        "wer": 0.1,
        "likeness": score,
        "recorded_at": NOW - timedelta(days=number),
    }
    return Row(**{**fields, **changes})


def anchor(name: str, score: float) -> Row:
    """A reference voice."""
    return row(0, score, id=None, rank=None, hotkey="", name=name, revision=None)


def board(*rows: Row, anchors: tuple[Row, ...] = ()) -> Board:
    """A board of these rows."""
    return Board("tts", "1" * 64, rows, anchors, None)
