"""The model queue's memory: what was written stays, whatever happens to the program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from neurons.model_queue_ledger import Ledger, LedgerError, Recorded, Seal, SealState, State

FIRST = Recorded(
    hotkey="5Alice",
    block=7,
    text="alice:voice",
    block_hash="0xab",
    sealed_block=None,
    seen_at=9,
    state=State.PENDING,
)
SEAL = Seal(hotkey="5Alice", block=3, digest="ab" * 32, reveal_round=str(2**64 - 1), seen_at=4)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "deep" / "ledger.sqlite3")
    yield ledger
    ledger.close()


def test_a_commitment_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    assert ledger.progress() is None
    malformed = replace(FIRST, text="?", state=State.MALFORMED, reason="fields: 1 instead of 6")
    ledger.add(FIRST)
    ledger.add(malformed)
    ledger.set_progress(9, "0xcd")
    assert ledger.in_state(State.PENDING) == (FIRST,)
    assert ledger.in_state(State.MALFORMED) == (malformed,)
    assert ledger.progress() == (9, "0xcd")
    assert ledger.counts() == {"PENDING": 1, "MALFORMED": 1}
    assert ledger.knows("5Alice", 7, "?")
    assert not ledger.knows("5Alice", 8, "?")


def test_what_was_tried_goes_behind_what_was_not(ledger: Ledger) -> None:
    second, third = replace(FIRST, block=8), replace(FIRST, block=9)
    for commitment in (third, second, FIRST):
        ledger.add(commitment)
    ledger.count_attempt(FIRST, "the API is down")
    assert [found.block for found in ledger.in_state(State.PENDING)] == [8, 9, 7]
    ledger.set_state(second, State.SUBMITTED, "QUEUED as 1")
    assert [found.block for found in ledger.in_state(State.PENDING)] == [9, 7]
    assert ledger.in_state(State.SUBMITTED)[0].reason == "QUEUED as 1"


def test_a_seal_is_recorded_once_and_ends_once(ledger: Ledger) -> None:
    assert ledger.add_seal(SEAL)
    assert not ledger.add_seal(replace(SEAL, digest="cd" * 32, seen_at=8))
    assert ledger.seals(SealState.SEALED) == (SEAL,)
    assert not ledger.is_opened(SEAL)
    ledger.add(replace(FIRST, sealed_block=SEAL.block))
    assert ledger.is_opened(SEAL)
    ledger.end_seal(SEAL, SealState.OPENED)
    assert ledger.seals(SealState.SEALED) == ()
    assert ledger.seals(SealState.OPENED)[0].digest == SEAL.digest


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(KeyError), ledger.transaction():
        ledger.add(FIRST)
        raise KeyError
    assert ledger.counts() == {}
    with pytest.raises(LedgerError, match="UNIQUE"), ledger.transaction():
        ledger.add(FIRST)
        ledger.add(FIRST)
    assert ledger.counts() == {}


def test_it_is_all_there_when_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    for _ in range(2):
        ledger = Ledger(path)
        if not ledger.knows(FIRST.hotkey, FIRST.block, FIRST.text):
            ledger.add(FIRST)
        assert ledger.in_state(State.PENDING) == (FIRST,)
        ledger.close()


def test_a_file_that_is_none_of_ours_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_text("something else, and long enough to be no empty database " * 20)
    with pytest.raises(LedgerError, match="cannot be used: file is not a database"):
        Ledger(path)
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger(path / "below" / "a file")


def test_a_newer_version_of_the_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    ledger._db.execute("PRAGMA user_version = 2")
    ledger.close()
    with pytest.raises(LedgerError, match="version 2, not 1"):
        Ledger(path)
