"""Ranges of bytes as players ask for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_validation_api.byte_ranges import UnsatisfiableRangeError, parse_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-3", (0, 4)),
        ("bytes=4-", (4, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=8-99", (8, 10)),
        ("bytes=9-9", (9, 10)),
        (" bytes=0-0 ", (0, 1)),
        (None, None),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-3", None),
        ("bytes=0-1,4-5", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_one_range_is_served_and_what_is_malformed_is_ignored(
    header: str | None, part: tuple[int, int] | None
) -> None:
    assert parse_range(header, 10) == part


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_without_a_byte_is_refused(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRangeError, match=f"there are {size} bytes"):
        parse_range(header, size)


@given(st.integers(0, 2_000), st.integers(0, 2_000), st.integers(1, 1_000))
def test_whatever_is_asked_for_lies_inside(first: int, last: int, size: int) -> None:
    try:
        part = parse_range(f"bytes={first}-{last}", size)
    except UnsatisfiableRangeError:
        assert first >= size
        return
    if part is None:
        assert last < first
    else:
        assert 0 <= part[0] < part[1] <= size
        assert part == (first, min(last + 1, size))
