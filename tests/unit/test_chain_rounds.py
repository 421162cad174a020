"""Signed rounds: made, carried as JSON, checked; anything changed is refused."""

from __future__ import annotations

from pathlib import Path

import bittensor as bt
import pytest
from pydantic import ValidationError

from scoring.competition import RoundSnapshot, SignedRound
from scoring.competition.rounds import round_seed
from utilities.chain_rounds import RoundForgedError, check_round, sign_round

HASH = "0x" + "5" * 64
SNAPSHOT = RoundSnapshot(
    competition_id="tts",
    number=3,
    start_block=21_600,
    seed_block=21_610,
    seed_block_hash=HASH,
    seed=round_seed("tts", 3, HASH),
    closed_block=22_000,
    protocol_digest="1" * 64,
    prompts_digest="2" * 64,
    previous=None,
    standings=(),
)


def wallet(path: Path, name: str) -> bt.Wallet:
    made = bt.Wallet(name=name, hotkey="default", path=str(path))
    made.create_new_hotkey(use_password=False, overwrite=True, suppress=True)
    return made


@pytest.fixture
def service(tmp_path: Path) -> bt.Wallet:
    return wallet(tmp_path, "service")


def test_a_signed_round_survives_the_way(service: bt.Wallet) -> None:
    sent = sign_round(SNAPSHOT, service).model_dump_json()
    received = SignedRound.model_validate_json(sent)
    assert check_round(received, signer=service.hotkey.ss58_address) == SNAPSHOT


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"snapshot": SNAPSHOT.model_copy(update={"closed_block": 22_001})}, "its digest is"),
        ({"digest": "0" * 64}, "its digest is"),
        ({"signature": "0" * 128}, "does not belong"),
        ({"crypto": "ed25519"}, "does not belong"),
    ],
)
def test_anything_changed_is_refused(
    service: bt.Wallet, changes: dict[str, object], match: str
) -> None:
    signed = sign_round(SNAPSHOT, service).model_copy(update=changes)
    with pytest.raises(RoundForgedError, match=match):
        check_round(signed, signer=service.hotkey.ss58_address)


def test_another_signer_is_refused(service: bt.Wallet, tmp_path: Path) -> None:
    other = wallet(tmp_path, "other")
    signed = sign_round(SNAPSHOT, other)
    with pytest.raises(RoundForgedError, match="instead of"):
        check_round(signed, signer=service.hotkey.ss58_address)
    claimed = signed.model_copy(update={"hotkey": service.hotkey.ss58_address})
    with pytest.raises(RoundForgedError, match="does not belong"):
        check_round(claimed, signer=service.hotkey.ss58_address)


def test_unknown_fields_are_no_round(service: bt.Wallet) -> None:
    sent = sign_round(SNAPSHOT, service).model_dump(mode="json")
    with pytest.raises(ValidationError):
        SignedRound.model_validate({**sent, "weights": {}})
