"""What no miner can bring about, whatever it submits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from competition_rounds import (
    FIRST,
    RULES,
    Entry,
    history,
    registered,
    units,
    verdicts,
    weigh,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.competition import WEIGHT_UNITS, weights

# Steps of less than epsilon, so that ties and cycles come up.
QUALITIES = st.integers(0, 24).map(lambda step: 0.5 + 0.006 * step)
OWN = "own"


@st.composite
def fields(draw: st.DrawFn, smallest: int = 1) -> list[list[Entry]]:
    """One to three rounds of the same submissions by strangers; the first is ours, of round one."""
    count = draw(st.integers(smallest, 6))
    entries = [
        Entry(
            number=number,
            block=draw(st.integers(0, 5_000)),
            quality=draw(QUALITIES),
            coldkey=OWN if number == 0 else "",
            commits_digest=draw(st.booleans()),
        )
        for number in range(count)
    ]
    rounds = []
    for _ in range(draw(st.integers(1, 3))):
        strangers = [e for e in entries[1:] if draw(st.integers(0, 4))]
        rounds.append([entries[0], *strangers])
    return rounds


@st.composite
def fields_with_own_extras(draw: st.DrawFn) -> tuple[list[list[Entry]], list[list[Entry]]]:
    """A field, and the same with more submissions that can be linked to ours."""
    rounds = draw(fields())
    ours = rounds[0][0]
    extras: list[Entry] = []
    sybils: dict[str, Entry] = {}
    for number in range(100, 100 + draw(st.integers(1, 5))):
        coldkey = draw(st.sampled_from([OWN, "sybil-1", "sybil-2"]))
        linked = draw(st.lists(st.sampled_from([ours, *extras]), max_size=2, unique=True))
        entry = Entry(
            number=number,
            block=draw(st.integers(6_000, 8_000)) if coldkey == OWN else 6_000 + number,
            quality=draw(QUALITIES),
            coldkey=coldkey,
            commits_digest=draw(st.booleans()),
            near=tuple(linked) if coldkey == OWN or coldkey in sybils else (ours, *linked),
        )
        sybils.setdefault(coldkey, entry)
        extras.append(entry)
    since = draw(st.integers(0, len(rounds) - 1))
    return rounds, [
        [*entries, *extras] if index >= since else entries for index, entries in enumerate(rounds)
    ]


def owned_by(coldkey: str, rounds: list[list[Entry]]) -> set[str]:
    return {entry.owner for entries in rounds for entry in entries if entry.payer == coldkey}


def total(given_units: dict[str, int], hotkeys: set[str]) -> int:
    return sum(given_units.get(hotkey, 0) for hotkey in hotkeys)


@settings(max_examples=80, deadline=None)
@given(fields_with_own_extras())
def test_ones_own_further_submissions_never_raise_ones_total(
    worlds: tuple[list[list[Entry]], list[list[Entry]]],
) -> None:
    alone, crowded = worlds
    before, decided = units(weigh(alone)), weigh(crowded)
    after, own_copies = (
        units(decided),
        {"copy"} & {e.verdict for e in decided.explanations if e.hotkey in owned_by(OWN, crowded)},
    )
    ours, *sybils = (owned_by(c, crowded) for c in (OWN, "sybil-1", "sybil-2"))

    assert total(after, ours.union(*sybils)) <= total(before, ours)
    if not own_copies:
        assert after == before


@settings(max_examples=50, deadline=None)
@given(fields(smallest=2), st.lists(QUALITIES, min_size=1, max_size=4), st.data())
def test_a_coldkey_earns_what_one_of_its_submissions_would_earn_alone(
    rounds: list[list[Entry]], qualities: list[float], data: st.DataObject
) -> None:
    ours, *strangers = rounds[0]
    own = [ours] + [
        Entry(
            number=100 + i,
            quality=quality,
            coldkey=OWN,
            block=data.draw(st.integers(0, 5_000)),
            commits_digest=data.draw(st.booleans()),
        )
        for i, quality in enumerate(qualities)
    ]
    together = units(weigh([[*own, *strangers]]))
    alone = [units(weigh([[entry, *strangers]])) for entry in own]

    assert together in alone
    assert len(together.keys() & {entry.owner for entry in own}) <= 1


@st.composite
def fields_with_a_copy(draw: st.DrawFn) -> tuple[list[list[Entry]], Entry, Entry]:
    """A field, one of it, and a copy of that, made when the original could be known."""
    rounds = draw(fields())
    original = draw(st.sampled_from(rounds[0]))
    known = original.block if original.commits_digest else original.pinned
    made = draw(st.integers(known + 1, 8_000))
    revealed = draw(st.integers(made, 8_500))
    copy = Entry(
        number=100,
        block=revealed,
        sealed_block=draw(st.sampled_from([None, made])),
        pinned_block=draw(st.integers(revealed, 9_000)),
        quality=original.quality,
        voice=str(original.number),
        commits_digest=draw(st.booleans()),
    )
    return rounds, original, copy


@settings(max_examples=80, deadline=None)
@given(fields_with_a_copy(), st.booleans(), st.booleans())
def test_a_copy_gets_nothing_and_takes_nothing(
    world: tuple[list[list[Entry]], Entry, Entry], exact: bool, seen_from_original: bool
) -> None:
    rounds, original, copy = world
    if exact:
        copy = replace(copy, digest=original.weights_digest)
    elif seen_from_original:
        linked = replace(original, near=(copy,))
        rounds = [[linked if e.number == original.number else e for e in es] for es in rounds]
    else:
        copy = replace(copy, near=(original,))
    decided = weigh([[*entries, copy] for entries in rounds])

    assert verdicts(decided)[copy.number] == "copy"
    assert units(decided) == units(weigh(rounds))


@settings(max_examples=50, deadline=None)
@given(fields_with_a_copy())
def test_even_a_copy_that_nobody_noticed_earns_less_than_its_original(
    world: tuple[list[list[Entry]], Entry, Entry],
) -> None:
    rounds, original, copy = world
    present = [es for es in rounds if original in es]
    decided = units(weigh([[*entries, copy] for entries in present]))

    assert decided.get(copy.owner, 0) < max(decided.get(original.owner, 0), 1)


@settings(max_examples=50, deadline=None)
@given(fields(smallest=3), st.integers(1, 20), st.booleans())
def test_a_crowd_of_weak_strangers_earns_nothing_behind_three_models_in_a_clear_order(
    rounds: list[list[Entry]], crowd: int, early: bool
) -> None:
    best = [replace(e, quality=0.9 - 0.1 * i) for i, e in enumerate(rounds[0][:3])]
    weak = [
        Entry(number=100 + i, block=0 if early else 6_000, quality=0.3 + 0.001 * i)
        for i in range(crowd)
    ]
    if len(best) < 3:
        return

    assert units(weigh([[*best, *weak]])) == units(weigh([best]))


@settings(max_examples=50, deadline=None)
@given(fields(), st.randoms(use_true_random=False))
def test_weights_sum_to_one_and_know_no_order(rounds: list[list[Entry]], chance: object) -> None:
    shuffle = chance.shuffle  # type: ignore[attr-defined]
    decided = weigh(rounds)
    chain = registered(entry for entries in rounds for entry in entries)
    snapshots = history([sorted(es, key=lambda e: -e.number) for es in rounds])
    shuffle(chain)
    shuffle(snapshots)
    last = max(snapshots, key=lambda s: s.number)
    again = weights(snapshots, chain=chain, rules=RULES, block=last.closed_block)

    assert again == decided
    assert all(share.units >= 0 for share in decided.shares)
    assert sum(s.units for s in decided.shares) + decided.burned_units == WEIGHT_UNITS


@settings(max_examples=50, deadline=None)
@given(fields(smallest=2))
def test_a_failed_submission_counts_as_little_as_an_absent_one(rounds: list[list[Entry]]) -> None:
    failed = [
        [replace(e, quality=None) if e.number == 0 else e for e in entries] for entries in rounds
    ]
    absent = [[e for e in entries if e.number != 0] for entries in rounds]

    assert units(weigh(failed)) == units(weigh(absent))


@settings(max_examples=50, deadline=None)
@given(fields(smallest=2))
def test_a_failure_changes_no_match_of_others(rounds: list[list[Entry]]) -> None:
    everybody = rounds[-1]
    before = {e.submission_id: e.lost_to for e in weigh([everybody]).explanations}
    after = {e.submission_id: e.lost_to for e in weigh([everybody[1:]]).explanations}

    for number, lost_to in after.items():
        assert lost_to == tuple(winner for winner in before[number] if winner != 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5_000), min_size=2, max_size=7), st.data())
def test_a_failure_moves_nobody_where_the_others_are_in_a_clear_order(
    blocks: list[int], data: st.DataObject
) -> None:
    others = [Entry(number=i, block=block, quality=0.9 - 0.1 * i) for i, block in enumerate(blocks)]
    failing = Entry(number=50, block=data.draw(st.integers(0, 5_000)), quality=data.draw(QUALITIES))
    before = units(weigh([[*others, failing]]))
    after = units(weigh([others]))

    for better, worse in pairwise(others):
        assert before.get(better.owner, 0) >= before.get(worse.owner, 0)
        assert after.get(better.owner, 0) >= after.get(worse.owner, 0)


def test_a_validator_that_starts_late_agrees_with_one_that_has_seen_everything() -> None:
    rounds = [
        [Entry(number=n, quality=0.5 + 0.004 * ((n * 7 + r) % 11), block=10 * n) for n in range(6)]
        for r in range(9)
    ]
    snapshots = history(rounds)
    chain = registered(rounds[-1])
    block = snapshots[-1].closed_block + 5
    seen_everything = weights(snapshots, chain=chain, rules=RULES, block=block)
    started_late = weights(snapshots[-RULES.window :], chain=chain, rules=RULES, block=block)

    assert started_late == seen_everything
    assert seen_everything.rounds[0].number == FIRST + 9 - RULES.window


GOLDEN = """
import json
from competition_rounds import Entry, units, weigh
rounds = [
    [Entry(number=n, quality=0.5 + 0.005 * ((n * 7 + r) % 11), block=10 * n) for n in range(8)]
    for r in range(3)
]
print(json.dumps(units(weigh(rounds))))
"""


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_weights_are_the_same_to_the_last_unit_on_every_machine(hash_seed: str) -> None:
    root = Path(__file__).parents[2]
    path = f"{root}{os.pathsep}{root / 'tests' / 'unit'}"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", GOLDEN], env=environment, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == {
        "hotkey-0": 425,
        "hotkey-1": 63039,
        "hotkey-2": 425,
        "hotkey-3": 906,
        "hotkey-4": 642,
        "hotkey-6": 98,
    }
