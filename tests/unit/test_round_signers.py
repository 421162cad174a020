"""Who signs which round: one hotkey for each, whatever was agreed; anything unclear is refused."""

from __future__ import annotations

import pytest
from bittensor.sp_core import Keypair
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from utilities.round_signers import (
    MAX_SIGNERS,
    RoundSigner,
    RoundSigners,
    SignersText,
    only_signer,
    parse_signers,
)

HOTKEYS = [Keypair.create_from_uri(f"//signer{n}").ss58_address for n in range(MAX_SIGNERS + 1)]
OLD, NEW = HOTKEYS[:2]
NUMBERS = st.integers(min_value=0, max_value=2**48 - 1)


@st.composite
def schedules(draw: st.DrawFn) -> RoundSigners:
    handovers = draw(st.sets(st.integers(1, 2**48 - 1), max_size=MAX_SIGNERS - 1))
    firsts = [0, *sorted(handovers)]
    return RoundSigners(tuple(map(RoundSigner, HOTKEYS, firsts)))


@given(schedules())
def test_what_is_written_is_read_again(signers: RoundSigners) -> None:
    assert parse_signers(str(signers)) == signers


@given(schedules(), NUMBERS)
def test_every_round_has_the_last_signer_that_was_handed_to(
    signers: RoundSigners, number: int
) -> None:
    begun = [signer for signer in signers.signers if signer.first_round <= number]
    assert signers.of(number) == max(begun, key=lambda signer: signer.first_round).hotkey


@given(schedules(), NUMBERS, NUMBERS)
def test_no_hotkey_signs_again_once_it_was_handed_over(
    signers: RoundSigners, one: int, other: int
) -> None:
    order = [signer.hotkey for signer in signers.signers]
    earlier, later = sorted((one, other))
    assert order.index(signers.of(earlier)) <= order.index(signers.of(later))


def test_a_hand_over_takes_place_at_its_round() -> None:
    signers = parse_signers(f" {OLD}, {NEW}@612 ")
    assert [signers.of(number) for number in (0, 611, 612, 613)] == [OLD, OLD, NEW, NEW]
    assert (signers.sign_any(OLD), signers.sign_any(HOTKEYS[2])) == (True, False)
    assert only_signer(OLD) == parse_signers(OLD)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not the ss58"),
        ("5Grw", "not the ss58"),
        (f"{OLD},", "must come after"),
        (f"{OLD},{NEW}", "must come after"),
        (f"{OLD}@612", "from the beginning"),
        (f"{OLD},{NEW}@0", "must come after"),
        (f"{OLD},{NEW}@-1", "must come after"),
        (f"{OLD},{NEW}@1e3", "must come after"),
        (f"{OLD},{HOTKEYS[2]}@9,{NEW}@9", "must come after"),
        (f"{OLD},{HOTKEYS[2]}@9,{NEW}@8", "must come after"),
        (f"{OLD},{NEW}@{2**48}", "there is no round"),
        (f"{OLD},{NEW}@8,{OLD}@9", "named twice"),
        (",".join([OLD, *(f"{key}@{n}" for n, key in enumerate(HOTKEYS[1:], 1))]), "name 1 to 16"),
    ],
)
def test_what_is_not_clear_is_refused(text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        parse_signers(text)


class Said(BaseModel):
    signers: SignersText


@pytest.mark.parametrize("given", [None, 7, [], {"signers": []}, "5Grw"])
def test_a_field_of_something_else_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        Said.model_validate({"signers": given})
    assert Said.model_validate({"signers": OLD}).signers == only_signer(OLD)
