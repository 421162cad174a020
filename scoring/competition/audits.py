"""What a validator's own audits of published results lead to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scoring.competition.rules import Rules


@dataclass(frozen=True, order=True)
class FailedAudit:
    """In ``epoch`` a validator found other figures for a submission than the API published."""

    epoch: int
    submission_id: int


@dataclass(frozen=True)
class Trust:
    """Which submissions are excluded, and what becomes of the weights of that API.

    ``follow``: they are computed from its rounds without the excluded submissions. ``hold``: the
    last ones stand. ``burn``: all is burned. ``since_epoch`` is when the API ceased to be followed.
    """

    excluded: frozenset[int]
    verdict: Literal["follow", "hold", "burn"]
    since_epoch: int | None


def trust_in_api(failed: Iterable[FailedAudit], *, epoch: int, rules: Rules) -> Trust:
    """What the failed audits so far mean in ``epoch``.

    Audits of one submission in one epoch count once. Trust does not come back by itself: the
    record of audits is cleared by whoever runs the validator.
    """
    counts: dict[int, int] = {}
    excluded: list[int] = []
    since: int | None = None
    for audit in sorted({audit for audit in failed if audit.epoch <= epoch}):
        counts[audit.submission_id] = counts.get(audit.submission_id, 0) + 1
        if counts[audit.submission_id] == rules.failed_audits:
            excluded.append(audit.submission_id)
            if len(excluded) == rules.excluded_submissions:
                since = audit.epoch
    if since is None:
        return Trust(frozenset(excluded), "follow", None)
    verdict: Literal["hold", "burn"] = "hold" if epoch < since + rules.hold_epochs else "burn"
    return Trust(frozenset(excluded), verdict, since)
