"""Published evidence against the chain: what it says, and what was committed when."""

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

from neurons.validator_evidence import contradictions
from scoring.competition import ChainEvidence, Repository, RoundSnapshot, Standing
from scoring.competition.rounds import round_seed

HASH = "0x" + "5" * 64


def published(**changes: Any) -> RoundSnapshot:
    """A round in which alice's ``lab/voice``, committed in block 100, stands."""
    evidence = {"block": 100, "block_hash": HASH, "commitment": text_of(ALICE)}
    evidence |= {
        key: changes.pop(key) for key in list(changes) if key in {*evidence, "sealed_block"}
    }
    repository = {"namespace": "lab", "name": "voice", "revision": REVISION}
    repository |= {key: changes.pop(key) for key in list(changes) if key in repository}
    fields = {
        "submission_id": 7,
        "hotkey": ALICE,
        "coldkey": "cold",
        "repository": Repository(**repository),
        "evidence": ChainEvidence(**evidence),
        "pinned_block": 101,
        "committed_digest": digest_of("voice"),
        "weights_digest": digest_of("voice"),
        **changes,
    }
    return RoundSnapshot(
        competition_id="tts",
        number=1,
        start_block=7_200,
        seed_block=7_210,
        seed_block_hash=HASH,
        seed=round_seed("tts", 1, HASH),
        closed_block=7_300,
        protocol_digest="1" * 64,
        prompts_digest="2" * 64,
        previous=None,
        standings=(Standing(**fields),),
    )


MADE = commitment(ALICE, 100, text_of(ALICE))
SHORT = text_of(ALICE, long=False)


def test_what_agrees_stays() -> None:
    assert contradictions(published(), view(MADE), forgotten) == {}
    short = published(commitment=SHORT, committed_digest=None)
    assert contradictions(short, view(commitment(ALICE, 100, SHORT)), forgotten) == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"commitment": "nonsense"}, "malformed"),
        ({"commitment": text_of(BOB)}, "malformed: the reference names hotkey"),
        ({"name": "other"}, "lab/voice was committed, and lab/other scored"),
        ({"revision": "cd" * 20}, "was committed, and cdcd"),
        ({"committed_digest": None}, "published as committed"),
        ({"committed_digest": digest_of("other")}, "published as committed"),
    ],
)
def test_another_model_than_the_committed_is_told(changes: dict[str, Any], reason: str) -> None:
    assert reason in contradictions(published(**changes), view(MADE), forgotten)[7]


def test_of_the_unregistered_nothing_is_asked() -> None:
    assert contradictions(published(commitment="nonsense"), view(hotkeys=(BOB,)), forgotten) == {}


LATER = commitment(ALICE, 8_000, text_of(ALICE, "next"))


def test_what_was_replaced_is_looked_up_in_the_past() -> None:
    replaced = published(superseded_block=8_000)
    assert contradictions(replaced, view(LATER), history(MADE, LATER)) == {}
    assert contradictions(replaced, view(LATER), forgotten) == {}
    for past in (history(LATER), history(commitment(ALICE, 100, SHORT), LATER)):
        reason = contradictions(replaced, view(LATER), past)[7]
        assert "did not hold the commitment of block 100 after block 100" in reason


def test_a_replacement_cannot_be_dated_later_than_it_was() -> None:
    first = commitment(ALICE, 500, text_of(ALICE, "first"))
    reason = contradictions(
        published(superseded_block=8_000), view(LATER), history(MADE, first, LATER)
    )[7]
    assert "after block 7999" in reason


def test_an_earlier_sealed_commitment_must_have_been_there_until_the_reveal() -> None:
    revealed = commitment(ALICE, 100, text_of(ALICE), "revealed")
    sealed, resealed = (commitment(ALICE, block, None, "sealed") for block in (60, 80))
    claimed = published(sealed_block=60)
    assert contradictions(claimed, view(revealed), history(sealed)) == {}
    assert contradictions(claimed, view(revealed), forgotten) == {}
    for past in (history(), history(resealed), history(sealed, resealed)):
        assert "not sealed as early" in contradictions(claimed, view(revealed), past)[7]


@given(st.text(min_size=1, max_size=300))
def test_no_commitment_is_too_strange(text: str) -> None:
    found = contradictions(
        published(commitment=text), view(commitment(ALICE, 100, text)), forgotten
    )
    assert "malformed" in found[7]
