"""Who takes part in a round: the best so far, the new ones, and those that were missing lately."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from scoring.competition import Entrants, Participant
from voice_validation_api.records import SubmissionId
from voice_validation_api.rounds.records import Drawn, NewEntry

MAX_MISSES: Final = 3
"""So many rounds in a row without the pinned revision suspend a submission."""
GONE: Final = "its pinned revision is gone from the hub"


def drawn_ids(entrants: Entrants, absentees: Sequence[SubmissionId]) -> list[SubmissionId]:
    """Everybody once, in the order of their ids."""
    return sorted(SubmissionId(n) for n in {*entrants.best, *entrants.new, *absentees})


def entries_of(
    drawn: Sequence[Drawn],
    *,
    chain: Sequence[Participant],
    is_gone: Callable[[Drawn], bool],
) -> list[NewEntry]:
    """The entries of those that are registered.

    ``is_gone`` asks the hub, about those only that were scored before: the worker finds out about
    the others. A worker keeps models, so it would not miss what is gone.
    """
    coldkeys = {participant.hotkey: participant.coldkey for participant in chain}
    return [
        NewEntry(
            submission_id=one.submission_id,
            coldkey=coldkeys[one.hotkey],
            absence=GONE if one.scored_round is not None and is_gone(one) else None,
        )
        for one in drawn
        if one.hotkey in coldkeys
    ]
