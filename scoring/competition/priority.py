"""Who was first."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from scoring.competition.records import NearCopy, Standing


class Priority(NamedTuple):
    """Compares as time does: the smaller was first.

    Two in one block are told apart by when their revisions were pinned, and then by a draw: a rule
    over names or ids could be won by trying many.
    """

    block: int
    pinned_block: int
    draw: bytes


def priority_of(submission: Standing | NearCopy, seed: str) -> Priority:
    """``seed`` is that of a round: nobody knows it before the submissions are made."""
    draw = hashlib.sha256(f"{seed}:{submission.submission_id}".encode()).digest()
    return Priority(submission.priority_block, submission.pinned_block, draw)
