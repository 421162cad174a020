"""Who is scored next."""

from __future__ import annotations

from competition_rounds import FIRST, RULES, Entry, registered, weigh

from scoring.competition import Candidate, Participant, next_round_entrants
from scoring.competition.rounds import round_times

TIMES = round_times(FIRST + 1, RULES)
START = TIMES.start_block


def person(hotkey: str, coldkey: str = "") -> Participant:
    return Participant(hotkey=hotkey, coldkey=coldkey or f"coldkey of {hotkey}")


def candidate(number: int, hotkey: str, block: int = 100, pinned: int = 200) -> Candidate:
    return Candidate(submission_id=number, hotkey=hotkey, commit_block=block, pinned_block=pinned)


def test_the_first_round_takes_whoever_was_pinned_in_time_first_come_first() -> None:
    chain = [person(name) for name in "abc"]
    new = [
        candidate(1, "a", pinned=300),
        candidate(2, "b", pinned=200),
        candidate(3, "c", pinned=START),
        candidate(4, "unregistered"),
    ]
    entrants = next_round_entrants(None, new, chain=chain, rules=RULES, times=TIMES)

    assert entrants.best == ()
    assert entrants.new == (2, 1)


def test_a_hotkey_enters_its_newest_submission() -> None:
    new = [candidate(1, "a", block=100), candidate(2, "a", block=150, pinned=400)]
    entrants = next_round_entrants(None, new, chain=[person("a")], rules=RULES, times=TIMES)

    assert entrants.new == (2,)


def test_the_best_enter_again_in_their_order_at_most_top_k() -> None:
    entries = [Entry(number=n, quality=0.02 + 0.05 * n) for n in range(20)]
    entrants = next_round_entrants(
        weigh([entries]), [], chain=registered(entries), rules=RULES, times=TIMES
    )

    assert entrants.best == tuple(range(19, 3, -1))


def test_what_cannot_be_paid_is_not_scored_again() -> None:
    entries = [
        Entry(number=1, quality=0.7),
        Entry(number=2, quality=0.6, near=(Entry(number=1, quality=0.7),), block=200),
        Entry(number=3, quality=0.6, state="suspended"),
        Entry(number=4, quality=None),
    ]
    entrants = next_round_entrants(
        weigh([entries]), [], chain=registered(entries), rules=RULES, times=TIMES
    )

    assert entrants.best == (1,)


def test_a_coldkey_enters_one_new_submission_that_of_the_hotkey_that_stands_for_it() -> None:
    standing_for = Entry(number=1, hotkey="x", coldkey="purse")
    chain = [*registered([standing_for]), person("y", "purse"), person("z", "purse")]
    new = [candidate(5, "y"), candidate(6, "z"), candidate(7, "x", block=150, pinned=900)]
    decided = weigh([[standing_for]], chain=chain)

    assert next_round_entrants(None, new, chain=chain, rules=RULES, times=TIMES).new == (5,)
    assert next_round_entrants(decided, new, chain=chain, rules=RULES, times=TIMES).new == (7,)
