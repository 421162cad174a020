"""What the newest round decided about each submission, for those who look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scoring.competition import Weights
from voice_validation_api.rounds.ledger import RoundLedger


@dataclass(frozen=True)
class Decided:
    """Of a submission: its verdict, and where it competes its hotkey's win rate and weight."""

    verdict: str
    win_rate: float | None
    weight: float | None


@dataclass(frozen=True)
class Outcome:
    """The number of the newest round, None without one, and what it decided by submission."""

    number: int | None
    decided: Mapping[int, Decided]


def newest_outcome(ledger: RoundLedger) -> Outcome:
    """What followed from all rounds when the newest one closed. A validator computes the same from
    the rounds and sets it; its audits may differ. Raises DatabaseUnavailableError."""
    newest = ledger.newest_weights()
    if newest is None:
        return Outcome(None, {})
    weights = Weights.model_validate_json(newest.weights)
    shares = {share.hotkey: share for share in weights.shares}
    decided = {}
    for explanation in weights.explanations:
        share = shares.get(explanation.hotkey) if explanation.verdict == "competes" else None
        decided[explanation.submission_id] = Decided(
            explanation.verdict,
            None if share is None else share.win_rate,
            None if share is None else share.weight,
        )
    return Outcome(newest.number, decided)
