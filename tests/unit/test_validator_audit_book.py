"""What a validator remembers of its audits, and what follows from it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from neurons.validator_audit_book import MAX_WITHHELD, AuditBook, Verdict
from neurons.validator_state import ValidatorState
from scoring.competition import Rules

RULES = Rules()
TEMPO = 360
VERDICTS: tuple[Verdict, ...] = ("passed", "failed", "withheld", "unable")

Rounds = list[dict[int, Verdict]]
rounds = st.lists(
    st.dictionaries(st.integers(0, 4), st.sampled_from(VERDICTS), max_size=5), max_size=12
)


def block_of(round_number: int) -> int:
    return round_number * RULES.round_length + 100


def after(course: Rounds) -> AuditBook:
    """The book after these rounds, each with the verdicts of its audits."""
    book = AuditBook()
    for number, verdicts in enumerate(course):
        book = book.for_round(number, range(5))
        for submission, verdict in verdicts.items():
            book = book.with_audit(
                verdict, submission_id=submission, block=block_of(number), reason="x" * 2_000
            )
    return book


def trust_after(course: Rounds, *, at: int | None = None) -> tuple[frozenset[int], str]:
    block = block_of(len(course)) if at is None else at
    trust = after(course).trust(block=block, tempo=TEMPO, rules=RULES)
    return trust.excluded, trust.verdict


def test_two_failed_audits_exclude_and_three_such_submissions_end_trust() -> None:
    one: dict[int, Verdict] = {1: "failed"}
    assert trust_after([one]) == (frozenset(), "follow")
    assert trust_after([one, one]) == (frozenset({1}), "follow")
    three: dict[int, Verdict] = {1: "failed", 2: "failed", 3: "failed"}
    assert trust_after([three, three]) == (frozenset({1, 2, 3}), "hold")
    since = block_of(1)
    end = (since // TEMPO + RULES.hold_epochs) * TEMPO
    assert trust_after([three, three], at=end - 1)[1] == "hold"
    assert trust_after([three, three], at=end)[1] == "burn"
    again = after([three, three]).without_failures()
    assert again.trust(block=end, tempo=TEMPO, rules=RULES).verdict == "follow"


def test_withholding_counts_from_the_third_round_in_a_row() -> None:
    held: dict[int, Verdict] = {1: "withheld"}
    assert not after([held] * (MAX_WITHHELD - 1)).failed
    assert len(after([held] * MAX_WITHHELD).failed) == 1
    assert trust_after([held] * (MAX_WITHHELD + 1))[0] == {1}
    # What was heard in between ends the row; what could not be asked does not.
    assert not after([held, held, {1: "passed"}, held, held]).failed
    assert len(after([held, held, {1: "unable"}, held]).failed) == 1


def test_a_submission_that_is_in_no_round_any_more_is_not_owed_an_audit() -> None:
    book = after([{1: "withheld", 2: "withheld"}])
    assert set(book.withheld) == {1, 2}
    assert set(book.for_round(1, [2, 3]).withheld) == {2}


@given(rounds)
def test_passed_and_impossible_audits_never_count(course: Rounds) -> None:
    harmless = [
        {number: verdict for number, verdict in verdicts.items() if verdict in {"passed", "unable"}}
        for verdicts in course
    ]
    assert trust_after(harmless) == (frozenset(), "follow")


@given(rounds)
def test_excluded_are_exactly_those_that_failed_in_two_rounds(course: Rounds) -> None:
    counts: dict[int, int] = {}
    rows: dict[int, int] = {}
    for verdicts in course:
        for number, verdict in verdicts.items():
            rows[number] = (
                rows.get(number, 0) + 1
                if verdict == "withheld"
                else (rows.get(number, 0) if verdict == "unable" else 0)
            )
            if verdict == "failed" or (verdict == "withheld" and rows[number] >= MAX_WITHHELD):
                counts[number] = counts.get(number, 0) + 1
    excluded = {number for number, count in counts.items() if count >= RULES.failed_audits}
    found, verdict = trust_after(course)
    assert found == excluded
    assert (verdict == "follow") == (len(excluded) < RULES.excluded_submissions)


@given(rounds)
def test_the_book_survives_a_restart(course: Rounds) -> None:
    state = ValidatorState().with_audits(after(course).with_key("a" * 64))
    assert ValidatorState.model_validate_json(state.model_dump_json()) == state


@given(rounds, st.integers(0, 4))
def test_only_what_could_not_be_audited_is_tried_again_in_a_round(
    course: Rounds, submission: int
) -> None:
    book = after(course)
    last = course[-1] if course else {}
    assert book.is_settled(submission) == (last.get(submission, "unable") != "unable")
    assert not book.for_round(len(course), range(5)).is_settled(submission)
