"""The one range of bytes that a player asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class UnsatisfiableRangeError(ValueError):
    """The range begins after the end."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Where the range begins and where it stops (the byte after its last); None for everything.

    Several ranges, other units and malformed ones are ignored, as the RFC allows or asks.
    Raises UnsatisfiableRangeError.
    """
    match = _ONE_RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        # The last so many bytes.
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= stop:
        raise UnsatisfiableRangeError(f"there are {size} bytes")
    return start, stop
