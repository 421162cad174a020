"""What failed audits lead to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scoring.competition import FailedAudit, Rules, Trust, trust_in_api

RULES = Rules()


def failed(*pairs: tuple[int, int]) -> list[FailedAudit]:
    return [FailedAudit(epoch=epoch, submission_id=number) for epoch, number in pairs]


def test_one_failed_audit_excludes_nobody_two_exclude_the_submission() -> None:
    assert trust_in_api(failed((1, 7)), epoch=9, rules=RULES).excluded == frozenset()
    assert trust_in_api(failed((1, 7), (1, 7)), epoch=9, rules=RULES).excluded == frozenset()
    two = trust_in_api(failed((1, 7), (3, 7), (3, 8)), epoch=9, rules=RULES)

    assert two == Trust(frozenset({7}), "follow", None)


def test_three_excluded_submissions_stop_following_then_weights_hold_then_burn() -> None:
    audits = failed((1, 7), (2, 7), (3, 8), (4, 8), (5, 9), (6, 9))
    verdicts = [
        trust_in_api(audits, epoch=epoch, rules=RULES).verdict
        for epoch in (5, 6, 5 + RULES.hold_epochs, 6 + RULES.hold_epochs)
    ]

    assert verdicts == ["follow", "hold", "hold", "burn"]
    assert trust_in_api(audits, epoch=99, rules=RULES).since_epoch == 6


@given(
    st.lists(st.builds(FailedAudit, epoch=st.integers(0, 9), submission_id=st.integers(0, 4))),
    st.randoms(use_true_random=False),
)
def test_the_order_of_records_does_not_matter_and_trust_does_not_return(
    audits: list[FailedAudit], chance: object
) -> None:
    shuffled = list(audits)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    course = [trust_in_api(audits, epoch=epoch, rules=RULES) for epoch in range(60)]
    degrees = ["follow", "hold", "burn"]

    assert course == [trust_in_api(shuffled, epoch=epoch, rules=RULES) for epoch in range(60)]
    assert course == sorted(course, key=lambda trust: degrees.index(trust.verdict))
