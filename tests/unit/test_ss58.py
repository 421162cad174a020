"""Addresses of the chain, with the SDK's own codec as the reference."""

from __future__ import annotations

import pytest
from bittensor_core import encode_ss58
from hypothesis import given
from hypothesis import strategies as st

from utilities.ss58 import is_ss58

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"


@given(st.binary(min_size=32, max_size=32))
def test_every_address_that_the_sdk_encodes_is_one(key: bytes) -> None:
    assert is_ss58(encode_ss58(key, 42))


LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@given(st.integers(0, 47), st.sampled_from(LETTERS))
def test_one_wrong_letter_breaks_the_checksum(place: int, letter: str) -> None:
    changed = ALICE[:place] + letter + ALICE[place + 1 :]
    assert is_ss58(changed) == (changed == ALICE)


@pytest.mark.parametrize("prefix", [0, 2, 43])
def test_addresses_of_other_chains_are_none(prefix: int) -> None:
    assert not is_ss58(encode_ss58(bytes(32), prefix))


@pytest.mark.parametrize("text", ["", "5", ALICE + "1", ALICE[:-1], "0" * 48, "é" * 48, "z" * 48])
def test_other_text_is_none(text: str) -> None:
    assert not is_ss58(text)
