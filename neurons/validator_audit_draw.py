"""What a validator audits of a round: drawn by a key that nobody else knows.

Were it drawn from what is public, whoever publishes would know beforehand what nobody looks at.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass

from scoring.competition import RoundSnapshot, Standing


@dataclass(frozen=True)
class Chance:
    """Numbers that follow from a secret ``key``, the validator's hotkey, and a round's seed."""

    key: str
    hotkey: str
    seed: str

    def of(self, *what: object) -> float:
        """A number in [0, 1) for whatever is named."""
        named = ":".join(map(str, (self.hotkey, self.seed, *what)))
        digest = hmac.new(bytes.fromhex(self.key), named.encode(), hashlib.sha256).digest()
        # As many bits as a float holds.
        return int.from_bytes(digest[:6], "big") / 2**48


def drawn_submissions(
    snapshot: RoundSnapshot, chance: Chance, *, rate: float, owed: Collection[int]
) -> tuple[Standing, ...]:
    """Each submission with results per prompt, with probability ``rate``; those ``owed`` anyway."""
    return tuple(
        standing
        for standing in snapshot.standings
        if scored_prompts(standing)
        and (standing.submission_id in owed or chance.of("audit", standing.submission_id) < rate)
    )


def drawn_prompts(standing: Standing, chance: Chance, *, count: int) -> tuple[int, ...]:
    """At most ``count`` of the prompts that have a score, each as likely, in their order."""

    def place(prompt: int) -> tuple[float, int]:
        return chance.of("prompt", standing.submission_id, prompt), prompt

    return tuple(sorted(sorted(scored_prompts(standing), key=place)[:count]))


def scored_prompts(standing: Standing) -> tuple[int, ...]:
    """The prompts of a submission that have a score, by their place in the round."""
    if standing.result is None:
        return ()
    scores = standing.result.prompt_scores
    return tuple(index for index, score in enumerate(scores) if score is not None)
