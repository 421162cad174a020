"""Published rounds: their bytes, their limits, and how they hang together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from competition_rounds import FIRST, RULES, Entry, history, registered, snapshot
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scoring.competition import RoundsUnusableError, Rules, parse_snapshot, weights
from scoring.competition.history import linked_rounds
from scoring.competition.records import MAX_SNAPSHOT_BYTES

ENTRIES = [Entry(number=1), Entry(number=2, near=(Entry(number=1),))]
END = 20_000


def test_a_snapshot_survives_its_own_bytes() -> None:
    published = snapshot(FIRST, ENTRIES)
    read = parse_snapshot(published.canonical)

    assert read == published
    assert read.digest == published.digest


def test_the_digest_knows_no_order_and_every_figure() -> None:
    published = snapshot(FIRST, ENTRIES)

    assert snapshot(FIRST, reversed(ENTRIES)).digest == published.digest
    assert snapshot(FIRST, ENTRIES, protocol_digest="c" * 64).digest != published.digest


def test_the_digest_of_a_round_is_frozen() -> None:
    """Whoever changes it makes the digests of all published rounds wrong."""
    digest = "6aaac4a0282bee05c9f92d3e8c46004183591835fc9cc33d6dd991048c259f5e"

    assert snapshot(FIRST, ENTRIES).digest == digest


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"seed": "0" * 64}, "seed"),
        ({"closed_block": 5}, "order"),
        ({"number": -1}, "number"),
        ({"seed_block_hash": "0xAB"}, "seed_block_hash"),
        ({"surprise": 1}, "surprise"),
        ({"previous": {"number": FIRST, "digest": "0" * 64}}, "before"),
        ({"start_block": "10000"}, "start_block"),
    ],
)
def test_a_snapshot_that_contradicts_itself_is_refused_with_the_place(
    changes: dict[str, Any], word: str
) -> None:
    content = json.loads(snapshot(FIRST, ENTRIES).canonical)

    with pytest.raises(RoundsUnusableError, match=word):
        parse_snapshot(json.dumps({**content, **changes}).encode())


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ([Entry(number=1), Entry(number=1)], "twice"),
        ([Entry(number=1, pinned_block=FIRST * 1_000)], "pinned after"),
        ([Entry(number=1, state="held")], "evidence"),
        ([Entry(number=1, sealed_block=101)], "sealed"),
        ([Entry(number=1, superseded_block=99)], "superseded"),
    ],
)
def test_standings_that_cannot_be_are_refused(entries: list[Entry], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        snapshot(FIRST, entries)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_snapshot_are_a_typed_error(data: bytes) -> None:
    with pytest.raises(RoundsUnusableError):
        parse_snapshot(data)


def test_a_snapshot_that_is_too_large_is_not_read() -> None:
    with pytest.raises(RoundsUnusableError, match="bytes"):
        parse_snapshot(b" " * (MAX_SNAPSHOT_BYTES + 1))


def test_rounds_are_linked_from_the_newest_back_over_the_window() -> None:
    snapshots = history([ENTRIES] * 6)
    linked = linked_rounds([*snapshots, snapshots[0]], rules=RULES, block=END)

    assert [s.number for s in linked] == [12, 13, 14, 15]


@pytest.mark.parametrize(
    ("break_it", "word"),
    [
        (lambda rounds: [], "no round"),
        (lambda rounds: [rounds[0], rounds[2]], "missing"),
        (lambda rounds: [snapshot(FIRST, ENTRIES[:1]), *rounds[1:]], "digest"),
        (lambda rounds: [*rounds, snapshot(FIRST, ENTRIES[:1])], "unlike"),
        (lambda rounds: [*rounds, snapshot(FIRST + 3, ENTRIES)], "no part"),
        (lambda rounds: [snapshot(30, ENTRIES)], "after block"),
    ],
)
def test_a_broken_history_is_refused(break_it: Any, word: str) -> None:
    rounds = break_it(history([ENTRIES] * 3))

    with pytest.raises(RoundsUnusableError, match=word):
        linked_rounds(rounds, rules=RULES, block=END)


def test_rounds_of_two_competitions_are_not_mixed() -> None:
    rounds = history([ENTRIES] * 2)
    other = rounds[0].model_copy(update={"competition_id": "roleplay", "number": 3})

    with pytest.raises(RoundsUnusableError, match="several"):
        linked_rounds([*rounds, other], rules=RULES, block=END)


def test_a_seed_block_of_the_services_choice_is_refused() -> None:
    other = Rules(**{**vars(RULES), "seed_delay": 11})

    with pytest.raises(RoundsUnusableError, match="its seed"):
        weights(history([ENTRIES]), chain=registered(ENTRIES), rules=other, block=END)
