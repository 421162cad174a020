"""Which submissions compete: replacement, suspension, copies, the chain's word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from competition_rounds import (
    RULES,
    Entry,
    history,
    registered,
    units,
    verdicts,
    weigh,
)

from scoring.competition import Participant, weights

OLD = Entry(number=1, block=100, quality=0.6, hotkey="miner", coldkey="purse")
NEW = Entry(number=2, block=9_500, quality=0.7, hotkey="miner", coldkey="purse")
RIVAL = Entry(number=9, block=50, quality=0.5)
GRACE_ENDS = (
    NEW.block + RULES.replacement_grace
)  # while the first round is the newest, which closes at 10,100


def test_a_scored_submission_counts_while_its_successor_is_unscored() -> None:
    decided = weigh([[OLD, replace(NEW, quality=None), RIVAL]])

    assert verdicts(decided) == {1: "competes", 2: "unscored", 9: "competes"}


def test_the_successor_takes_over_once_it_is_scored() -> None:
    decided = weigh([[OLD, RIVAL], [OLD, NEW, RIVAL]])

    assert verdicts(decided)[OLD.number] == "replaced"
    assert verdicts(decided)[NEW.number] == "competes"


def test_a_successor_that_is_held_does_not_bring_the_old_one_back() -> None:
    held = replace(NEW, state="held", near=(RIVAL,))
    decided = weigh([[OLD, held, RIVAL]])

    assert verdicts(decided) == {
        OLD.number: "replaced",
        NEW.number: "held",
        RIVAL.number: "competes",
    }


@pytest.mark.parametrize("told_by", ["rounds", "service", "chain", "sealed on chain"])
def test_a_parked_successor_shields_an_old_model_for_one_grace_and_no_longer(told_by: str) -> None:
    old, parked, chain = OLD, [], None
    if told_by == "rounds":
        parked = [replace(NEW, quality=None)]
    elif told_by == "service":
        old = replace(OLD, superseded_block=NEW.block)
        chain = registered([OLD, RIVAL])
    else:
        text = "another" if told_by == "chain" else None
        miner = Participant(
            hotkey="miner", coldkey="purse", commitment_block=NEW.block, commitment=text
        )
        chain = [*registered([RIVAL]), miner]
    closed = history([[old, *parked, RIVAL]])
    chain = chain or registered([old, RIVAL])

    def verdict(block: int) -> str:
        return verdicts(weights(closed, chain=chain, rules=RULES, block=block))[OLD.number]

    assert verdict(GRACE_ENDS) == "competes"
    assert verdict(GRACE_ENDS + 1) == "replaced"


def test_parking_again_and_again_does_not_start_the_grace_anew() -> None:
    parked = [
        replace(NEW, quality=None),
        Entry(number=3, block=9_900, quality=None, hotkey="miner"),
    ]
    rounds = [[OLD, parked[0], RIVAL], [OLD, parked[1], RIVAL]]

    assert verdicts(weigh(rounds))[OLD.number] == "replaced"


def test_committing_the_same_string_again_replaces_nothing() -> None:
    again = Participant(
        hotkey="miner", coldkey="purse", commitment_block=9_000, commitment=OLD.commitment
    )
    decided = weigh([[OLD, RIVAL]], chain=[*registered([RIVAL]), again], block=12_000)

    assert verdicts(decided)[OLD.number] == "competes"


@pytest.mark.parametrize(("block", "text"), [(99, OLD.commitment), (100, "something else")])
def test_a_commitment_that_the_chain_does_not_have_does_not_count(block: int, text: str) -> None:
    miner = Participant(hotkey="miner", coldkey="purse", commitment_block=block, commitment=text)
    decided = weigh([[OLD, RIVAL]], chain=[*registered([RIVAL]), miner])

    assert verdicts(decided)[OLD.number] == "contradicted"


def test_a_deregistered_hotkey_is_as_if_it_had_never_submitted() -> None:
    rounds = [[OLD, RIVAL]] * 2
    decided = weigh(rounds, chain=registered([RIVAL]))

    assert verdicts(decided)[OLD.number] == "unregistered"
    assert units(decided) == units(weigh([[RIVAL]] * 2))


def test_what_is_found_out_later_holds_for_earlier_rounds_too() -> None:
    for found in (
        replace(OLD, state="suspended"),
        replace(OLD, state="excluded"),
        replace(OLD, near=(RIVAL,)),
    ):
        decided = weigh([[OLD, RIVAL], [found, RIVAL]])

        assert units(decided) == units(weigh([[RIVAL]] * 2))


def test_a_validator_may_exclude_by_its_own_audits() -> None:
    snapshots = history([[OLD, RIVAL]])
    chain = registered([OLD, RIVAL])
    decided = weights(snapshots, chain=chain, rules=RULES, block=11_000, excluded=[OLD.number])

    assert verdicts(decided)[OLD.number] == "excluded"
    assert units(decided) == units(weigh([[RIVAL]]))


def test_one_hotkey_stands_for_a_coldkey_the_one_that_was_first() -> None:
    second = Entry(number=5, block=10, quality=0.9, coldkey="purse")
    decided = weigh([[OLD, RIVAL], [OLD, second, RIVAL]])

    assert verdicts(decided)[second.number] == "family"
    assert verdicts(decided)[OLD.number] == "competes"


def test_a_better_model_of_the_same_hotkey_keeps_standing_for_the_coldkey() -> None:
    second = Entry(number=5, block=200, quality=0.9, coldkey="purse")
    decided = weigh([[OLD, second, RIVAL], [OLD, second, replace(NEW, block=10_200), RIVAL]])

    assert verdicts(decided)[NEW.number] == "competes"
    assert verdicts(decided)[second.number] == "family"


class TestCopies:
    """Who copied whom."""

    def test_a_copy_of_a_copy_is_a_copy_of_the_original(self) -> None:
        first = Entry(number=20, block=300, near=(RIVAL,))
        second = Entry(number=21, block=400, near=(first,))
        decided = weigh([[RIVAL, first, second]])

        assert verdicts(decided) == {RIVAL.number: "competes", 20: "copy", 21: "copy"}
        assert decided.explanations[-1].reason.endswith(f"submission {RIVAL.number}")

    def test_being_copied_does_not_stop_an_author_from_improving(self) -> None:
        copy = Entry(number=20, block=300, near=(OLD,))
        improved = replace(NEW, near=(OLD, copy))
        decided = weigh([[OLD, copy], [OLD, copy, improved]])

        assert verdicts(decided) == {OLD.number: "replaced", 20: "copy", NEW.number: "competes"}

    def test_a_held_blend_with_anothers_model_does_not_stop_its_author_from_improving(self) -> None:
        blend = Entry(number=20, block=300, near=(RIVAL, OLD))
        improved = replace(NEW, near=(OLD, blend))
        decided = weigh([[OLD, RIVAL, blend, improved]])

        assert verdicts(decided)[20] == "copy"
        assert verdicts(decided)[NEW.number] == "competes"

    def test_a_row_of_blends_between_two_models_makes_neither_a_copy(self) -> None:
        other = Entry(number=30, block=60)
        blends = [Entry(number=31, block=500, near=(RIVAL,))]
        blends.append(Entry(number=32, block=501, near=(blends[0],)))
        blends.append(Entry(number=33, block=502, near=(blends[1], other)))
        decided = weigh([[RIVAL, other, *blends]])

        assert verdicts(decided)[RIVAL.number] == verdicts(decided)[other.number] == "competes"
        assert {verdicts(decided)[blend.number] for blend in blends} == {"copy"}

    def test_a_row_of_own_models_towards_anothers_does_not_make_that_ones_own(self) -> None:
        step = replace(NEW, number=3, hotkey="second", near=(OLD,))
        arrived = replace(NEW, number=4, block=9_600, near=(step, RIVAL))
        decided = weigh([[OLD, step, arrived, RIVAL]])

        assert verdicts(decided)[arrived.number] == "copy"

    def test_an_original_that_is_gone_still_has_its_copies(self) -> None:
        copy = Entry(number=20, block=300, near=(RIVAL,))
        decided = weigh([[OLD, copy]], chain=registered([OLD, copy]))

        assert verdicts(decided)[copy.number] == "copy"

    def test_a_coldkey_with_a_copy_belongs_to_the_family_of_the_original(self) -> None:
        copy = Entry(number=20, block=300, near=(RIVAL,), coldkey="purse")
        decided = weigh([[OLD, copy, RIVAL]])

        assert verdicts(decided) == {OLD.number: "family", 20: "copy", RIVAL.number: "competes"}

    def test_a_digest_in_the_commitment_gives_priority_before_publication(self) -> None:
        careful = Entry(number=40, block=300, pinned_block=2_000, commits_digest=True)
        thief = Entry(number=41, block=1_000, pinned_block=1_500, near=(careful,))
        decided = weigh([[careful, thief]])

        assert verdicts(decided) == {40: "competes", 41: "copy"}

    def test_a_sealed_commitment_counts_from_when_it_was_recorded(self) -> None:
        sealed = Entry(
            number=40, block=3_000, sealed_block=300, pinned_block=3_500, commits_digest=True
        )
        thief = Entry(number=41, block=1_000, commits_digest=True, near=(sealed,))

        assert verdicts(weigh([[sealed, thief]])) == {40: "competes", 41: "copy"}
        unrecorded = replace(sealed, sealed_block=None)
        thief = replace(thief, near=(unrecorded,))
        assert verdicts(weigh([[unrecorded, thief]])) == {40: "copy", 41: "competes"}

    def test_two_in_one_block_are_told_apart_by_a_draw_that_nobody_can_steer(self) -> None:
        pairs = [
            (
                Entry(number=n, block=300),
                Entry(number=n + 1, block=300, near=(Entry(number=n, block=300),)),
            )
            for n in range(100, 160, 2)
        ]
        firsts = [verdicts(weigh([list(pair)]))[pair[0].number] for pair in pairs]

        assert set(firsts) == {"competes", "copy"}
