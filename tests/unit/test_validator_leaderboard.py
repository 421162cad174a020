"""The leaderboard as a snapshot: what agrees with the chain gets in, the rest is told why not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from validator_views import (
    ALICE,
    BOB,
    REVISION,
    commitment,
    digest_of,
    forgotten,
    history,
    text_of,
    view,
)

from neurons.chain_past import Commitments, PastCommitments
from neurons.validator_leaderboard import RULES, Leaderboard, Row, as_snapshot
from scoring.competition import Standing, weights
from scoring.contract import Interval
from utilities.chain_view import View

PROTOCOL = "1" * 64


def row(number: int = 1, hotkey: str = ALICE, block: int = 100, **changes: Any) -> Row:
    fields = {
        "id": number,
        "hotkey": hotkey,
        "repo": "lab/voice",
        "revision": REVISION,
        "score": 0.5,
        "interval": Interval(low=0.4, high=0.6),
        "wer": 0.1,
        "human_likeness": 0.5,
        "block": block,
        **changes,
    }
    return Row(**fields)


def judged(
    rows: list[Row], seen: View, past: PastCommitments = forgotten
) -> tuple[list[Standing], list[str]]:
    """Who got in, and why others did not."""
    board = Leaderboard(PROTOCOL, tuple(rows))
    digests = {shown.id: digest_of("voice") for shown in rows}
    snapshot, dropped = as_snapshot(board, "tts", seen, past, digests.__getitem__)
    assert snapshot is not None
    return list(snapshot.standings), [entry.reason for entry in dropped]


MADE = commitment(ALICE, 100, text_of(ALICE))
NEXT = commitment(ALICE, 8_000, text_of(ALICE, "next"))


def test_what_agrees_gets_in_with_the_chains_own_words() -> None:
    [standing], dropped = judged([row()], view(MADE))
    assert dropped == []
    assert (standing.evidence.commitment, standing.evidence.block) == (text_of(ALICE), 100)
    assert standing.committed_digest == standing.weights_digest == digest_of("voice")
    assert (standing.superseded_block, standing.evidence.sealed_block) == (None, None)
    assert standing.result is not None
    assert standing.result.prompt_scores == ()


def test_the_older_form_of_a_commitment_pins_nothing() -> None:
    short = commitment(ALICE, 100, text_of(ALICE, long=False))
    [standing], _ = judged([row(revision="cd" * 20)], view(short))
    assert standing.committed_digest is None


@pytest.mark.parametrize(
    ("shown", "seen", "reason"),
    [
        (row(hotkey=BOB), view(MADE), "not registered"),
        (row(), view(), "has no commitment"),
        (row(block=10_000), view(MADE), "waits for the block after 10000"),
        (row(block=99), view(MADE, block=5_000), "committed nothing in block 99"),
        (row(repo="lab/other"), view(MADE), "lab/voice was committed, and lab/other scored"),
        (row(revision="cd" * 20), view(MADE), "and cdcd"),
        (row(), view(commitment(ALICE, 100, None, "sealed")), "is sealed"),
        (row(), view(commitment(ALICE, 100, None, "failed")), "is sealed"),
        (row(), view(commitment(ALICE, 100, text_of(BOB))), "malformed"),
    ],
)
def test_what_disagrees_is_told_why(shown: Row, seen: View, reason: str) -> None:
    standings, [told] = judged([shown], seen, history(MADE))
    assert standings == []
    assert reason in told


def test_of_one_hotkey_the_newest_that_agrees_gets_in() -> None:
    rows = [row(1, block=50), row(2, block=100), row(3, block=90)]
    past = history(commitment(ALICE, 50, text_of(ALICE)))
    [standing], dropped = judged(rows, view(MADE), past)
    assert standing.submission_id == 2
    assert dropped == ["its miner has a newer submission"] * 2


def test_a_replaced_one_counts_for_its_time() -> None:
    past = history(MADE, NEXT)
    [standing], _ = judged([row()], view(NEXT, block=8_000 + 7_200), past)
    assert (standing.evidence.block, standing.superseded_block) == (100, 8_000)
    standings, [told] = judged([row()], view(NEXT, block=8_000 + 7_201), past)
    assert standings == []
    assert "for more than 7,200 blocks" in told
    assert "forgotten block 2799" in judged([row()], view(NEXT))[1][0]


def test_committing_again_and_again_renews_nothing() -> None:
    again = commitment(ALICE, 15_000, text_of(ALICE, "third"))
    assert judged([row()], view(again, block=15_300), history(MADE, NEXT, again))[0] == []


def test_old_rows_cost_one_look_into_the_past() -> None:
    asked = []

    def past(block: int) -> Commitments | None:
        asked.append(block)
        return history(MADE, NEXT)(block)

    rows = [row(number, block=100 + number) for number in range(1, 50)]
    assert judged(rows, view(NEXT, block=20_000), past)[0] == []
    assert set(asked) == {20_000 - 7_201}


def test_a_sealed_commitment_counts_from_its_reveal() -> None:
    revealed = commitment(ALICE, 100, text_of(ALICE), "revealed")
    [standing], _ = judged([row()], view(revealed))
    assert standing.priority_block == 100


def test_an_empty_leaderboard_is_no_snapshot() -> None:
    board = Leaderboard(None, ())
    assert as_snapshot(board, "tts", view(MADE), forgotten, {}.__getitem__) == (None, ())


def test_it_can_be_weighed_with_the_handicap_of_the_later() -> None:
    later = commitment(BOB, 200, text_of(BOB))
    seen = view(MADE, later, hotkeys=(ALICE, BOB))
    rows = [row(1, score=0.5), row(2, BOB, 200, score=0.51)]
    digests = {1: "a" * 64, 2: "b" * 64}
    snapshot, _ = as_snapshot(
        Leaderboard(PROTOCOL, tuple(rows)), "tts", seen, forgotten, digests.__getitem__
    )
    assert snapshot is not None
    weighed = weights([snapshot], chain=seen.participants(), rules=RULES, block=seen.block)
    assert [share.hotkey for share in weighed.shares] == [ALICE, BOB]


@given(st.text(max_size=600))
def test_no_commitment_is_too_strange(text: str) -> None:
    standings, [told] = judged([row()], view(commitment(ALICE, 100, text)))
    assert standings == []
    assert "malformed" in told
