"""What a validator remembers of its audits. Pure: every change is a new book."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from scoring.competition import FailedAudit, Rules, Trust, trust_in_api
from scoring.contract import Hex64

Verdict = Literal["passed", "failed", "withheld", "unable"]
"""``withheld``: the API answers, and does not show what it has scored. ``unable``: nothing is
known, and nobody is blamed."""

MAX_WITHHELD: Final = 3
"""What was withheld in so many rounds in a row has failed: an outage does not last for days."""
MAX_FAILED: Final = 1_024
"""Remembered failures, the oldest: by then the API has long not been followed any more."""


class _Page(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Failed(_Page):
    """An audit that counts against a submission, and the block at which it was made."""

    round: int = Field(ge=0)
    block: int = Field(ge=0)
    submission_id: int = Field(ge=0)
    reason: str = Field(max_length=1_000)


class AuditBook(_Page):
    """``round`` is the last that was audited, ``verdicts`` what came of it by submission.

    ``withheld`` counts the rounds in a row in which a submission's audio was not to be had. ``key``
    draws what is audited.
    """

    key: Hex64 | None = None
    round: int | None = Field(default=None, ge=0)
    verdicts: dict[int, Verdict] = Field(default_factory=dict)
    withheld: dict[int, int] = Field(default_factory=dict)
    failed: tuple[Failed, ...] = ()

    def trust(self, *, block: int, tempo: int, rules: Rules) -> Trust:
        """What the failures mean at ``block``, with epochs of ``tempo`` blocks."""
        failed = [
            FailedAudit(epoch=one.block // tempo, submission_id=one.submission_id)
            for one in self.failed
        ]
        return trust_in_api(failed, epoch=block // tempo, rules=rules)

    def owed(self) -> frozenset[int]:
        """Submissions to be audited without being drawn: theirs was withheld last time."""
        return frozenset(self.withheld)

    def is_settled(self, submission_id: int) -> bool:
        """Whether the submission's audit in this round is over."""
        return self.verdicts.get(submission_id, "unable") != "unable"

    def with_key(self, key: str) -> AuditBook:
        """The book with the key that draws."""
        return self.model_copy(update={"key": key})

    def for_round(self, number: int, submissions: Collection[int]) -> AuditBook:
        """The book in which the round's audits are written, with these submissions in the round.

        What is not in a round has no score in it that could be withheld.
        """
        if self.round == number:
            return self
        withheld = {n: count for n, count in self.withheld.items() if n in submissions}
        return self.model_copy(update={"round": number, "verdicts": {}, "withheld": withheld})

    def with_audit(
        self, verdict: Verdict, *, submission_id: int, block: int, reason: str
    ) -> AuditBook:
        """The book after the audit of a submission in its round."""
        assert self.round is not None
        withheld = dict(self.withheld)
        counts = verdict == "failed"
        if verdict == "withheld":
            withheld[submission_id] = withheld.get(submission_id, 0) + 1
            counts = withheld[submission_id] >= MAX_WITHHELD
        elif verdict != "unable":
            withheld.pop(submission_id, None)
        failed = self.failed
        if counts:
            one = Failed(
                round=self.round, block=block, submission_id=submission_id, reason=reason[:1_000]
            )
            failed = (*failed, one)[:MAX_FAILED]
        return self.model_copy(
            update={
                "verdicts": {**self.verdicts, submission_id: verdict},
                "withheld": withheld,
                "failed": failed,
            }
        )

    def without_failures(self) -> AuditBook:
        """The book of somebody who trusts the API again."""
        return AuditBook(key=self.key, round=self.round, verdicts=self.verdicts)
