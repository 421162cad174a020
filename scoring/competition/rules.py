"""The numbers that the competition is run by. Every validator must use the same."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Shares are fractions of one, blocks are 12 seconds, ages are counted in rounds.

    Fractions are decimals: what is computed from them is the same to the last digit everywhere.

    Attributes:
        round_length: Blocks from one round's start to the next: a day.
        seed_delay: Blocks after a round's start whose hash gives the seed. By then the start is
            final (finality lags two or three blocks), so that no fork has another seed.
        replacement_grace: Blocks for which a scored submission goes on counting after its miner
            committed something else: one round, in which the new one can be scored.
        epsilon: By how much score a later submission must be better, for certain, to win. Two
            runs of one model differ by less; see "Resolution" in docs/scoring.md.
        handicap: The part of its score that a later submission loses where there are no results
            per prompt to be certain by.
        resamples: Bootstrap samples of the prompts of a round.
        confidence: Of the two-sided bootstrap interval whose lower end counts.
        top_k: Places of the field. Win rates are taken over ``top_k - 1`` matches, and so many are
            scored again in the next round.
        temperature: Of the softmax over win rates. 0.03 makes a lost match cost a factor of nine
            with 16 places: the second earns a tenth, so that a second model, or a copy that nobody
            noticed, is worth little.
        floor: Softmax values under this part of the best one's are not paid, so that a crowd of
            weak models earns nothing.
        decay: What a round counts in the moving average, relative to the round after it: half.
        window: Rounds in the moving average. What lies before would weigh 1/256.
        burn_share: Part that is always burned.
        failed_audits: Failed audits that exclude a submission: one may be the auditor's fault.
        excluded_submissions: Excluded submissions after which an API is no longer followed.
        hold_epochs: Epochs for which the last weights stand after that, before all is burned:
            two days, in which an operator can answer.
    """

    round_length: int = 7_200
    seed_delay: int = 10
    replacement_grace: int = 7_200
    epsilon: Decimal = Decimal("0.01")
    handicap: Decimal = Decimal("0.03")
    resamples: int = 1_000
    confidence: Decimal = Decimal("0.95")
    top_k: int = 16
    temperature: Decimal = Decimal("0.03")
    floor: Decimal = Decimal("0.01")
    decay: Decimal = Decimal("0.5")
    window: int = 8
    burn_share: Decimal = Decimal(0)
    failed_audits: int = 2
    excluded_submissions: int = 3
    hold_epochs: int = 40
