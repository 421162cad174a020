"""SCALE numbers and bytes, as the specification has them."""

from __future__ import annotations

import pytest
from devnet_scale import MalformedScaleError, Reader, compact, sequence, sized, uint
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "04"),
        (42, "a8"),
        (69, "1501"),
        (65_535, "feff0300"),
        (10**14, "0b00407a10f35a"),
    ],
)
def test_the_examples_of_the_specification(value: int, encoded: str) -> None:
    assert compact(value).hex() == encoded


@given(st.integers(0, 2**128))
def test_compact_numbers_come_back(value: int) -> None:
    reader = Reader(compact(value))
    assert reader.compact() == value
    reader.end()


@given(st.lists(st.integers(0, 65_535), max_size=100), st.binary(max_size=100))
def test_sequences_and_bytes_come_back(numbers: list[int], data: bytes) -> None:
    reader = Reader(sequence(uint(number, 2) for number in numbers) + sized(data) + b"rest")
    assert reader.uints(2) == numbers
    assert reader.sized() == data
    assert reader.rest() == b"rest"


@given(st.binary(max_size=40))
def test_strange_bytes_never_do_more_than_be_refused(data: bytes) -> None:
    for read in (Reader.compact, Reader.sized, lambda reader: reader.uints(8)):
        reader = Reader(data)
        try:
            read(reader)
        except MalformedScaleError:
            continue
        assert reader.position <= len(data)


def test_left_over_bytes_are_refused() -> None:
    with pytest.raises(MalformedScaleError, match="2 bytes too many"):
        Reader(b"ab").end()
