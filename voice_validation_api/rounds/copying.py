"""Near copies in a round's standings: told of both, held where somebody else was first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scoring.competition import NearCopy, Standing
from scoring.competition.copies import originals_of_copies


def with_near_copies(
    standings: Sequence[Standing], found: Mapping[int, tuple[NearCopy, ...]], *, seed: str
) -> tuple[Standing, ...]:
    """``standings`` with the near copies that were ``found``, by submission.

    Those that the rules of the competition call copies of another author's original are held.
    """
    told = [
        Standing.model_validate({**dict(s), "near_copies": found.get(s.submission_id, ())})
        for s in standings
    ]
    originals = originals_of_copies(told, coldkeys={s.hotkey: s.coldkey for s in told}, seed=seed)
    return tuple(
        _held(s, originals[s.submission_id]) if _is_held(s, originals) else s for s in told
    )


def _is_held(standing: Standing, originals: Mapping[int, int]) -> bool:
    # Equal weights need no holding: their digests are published, and the rules see them.
    copied = standing.submission_id in originals
    return copied and standing.state == "counts" and bool(standing.near_copies)


def _held(standing: Standing, original: int) -> Standing:
    reason = f"it is a near copy of submission {original}, which was there first"
    return Standing.model_validate({**dict(standing), "state": "held", "reason": reason})
