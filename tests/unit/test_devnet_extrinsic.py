"""What strangers send to the rehearsal chain is taken apart or refused, never more."""

from __future__ import annotations

import pytest
from devnet_commitments import read_info  # a script's sibling
from devnet_extrinsic import (
    MAX_EXTRINSIC_BYTES,
    Era,
    InvalidExtrinsicError,
    parse_extrinsic,
)
from devnet_scale import MalformedScaleError, Reader, sequence, sized
from hypothesis import given
from hypothesis import strategies as st

SIGNED_BY_ID = b"\x84\x00" + bytes(32) + b"\x01" + bytes(64)


def test_the_parts_of_an_extrinsic() -> None:
    era, nonce, tip, mode, call = b"\xe5\x02", b"\x1c", b"\x00", b"\x00", b"\x12\x00call"
    extrinsic = parse_extrinsic(sized(SIGNED_BY_ID + era + nonce + tip + mode + call))
    assert (extrinsic.nonce, extrinsic.call) == (7, call)
    assert extrinsic.signed_part == era + nonce + tip + mode
    # The example of polkadot.js: period 64, phase 46.
    assert extrinsic.era == Era(64, 46)


@pytest.mark.parametrize(
    ("current", "birth"), [(46, 46), (109, 46), (110, 110), (1_000, 942), (3, 46)]
)
def test_a_mortal_era_begins_at_its_phase(current: int, birth: int) -> None:
    assert Era(64, 46).birth(current) == birth


@given(st.binary(max_size=300))
def test_strange_bytes_are_refused(data: bytes) -> None:
    for raw in (data, sized(data), sized(SIGNED_BY_ID + data)):
        try:
            extrinsic = parse_extrinsic(raw)
        except InvalidExtrinsicError:
            continue
        assert extrinsic.raw == raw


def test_endless_extrinsics_are_refused() -> None:
    with pytest.raises(InvalidExtrinsicError, match="exhaust"):
        parse_extrinsic(sized(bytes(MAX_EXTRINSIC_BYTES)))


@given(st.binary(max_size=300))
def test_what_is_read_of_a_commitment_is_what_is_stored(data: bytes) -> None:
    reader = Reader(data)
    try:
        fields = read_info(reader)
    except MalformedScaleError:
        return
    again = read_info(Reader(sequence(field.encoded for field in fields)))
    assert again == fields
