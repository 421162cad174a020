"""SCALE, the chain's wire format: what the node writes itself and reads from strangers.

Reading here is bounded by the bytes at hand and shares nothing with the client's codec.
https://docs.polkadot.com/polkadot-protocol/parachain-basics/data-encoding/
"""

from __future__ import annotations

from collections.abc import Iterable


class MalformedScaleError(ValueError):
    """The bytes end too early, go on too long, or hold an impossible value."""


def uint(value: int, size: int) -> bytes:
    """An unsigned number of ``size`` bytes."""
    return value.to_bytes(size, "little")


def compact(value: int) -> bytes:
    """A number in one, two, four or more bytes; the two lowest bits say which."""
    if value < 1 << 6:
        return uint(value << 2, 1)
    if value < 1 << 14:
        return uint(value << 2 | 1, 2)
    if value < 1 << 30:
        return uint(value << 2 | 2, 4)
    size = (value.bit_length() + 7) // 8
    return uint((size - 4) << 2 | 3, 1) + uint(value, size)


def sized(data: bytes) -> bytes:
    """Bytes after their length."""
    return compact(len(data)) + data


def text(value: str) -> bytes:
    """A string: its UTF-8 bytes after their number."""
    return sized(value.encode())


def sequence(items: Iterable[bytes]) -> bytes:
    """Encoded items after their number."""
    encoded = list(items)
    return compact(len(encoded)) + b"".join(encoded)


class Reader:
    """Takes values off the front of ``data``. Every method raises MalformedScaleError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        end = self.position + count
        if end > len(self._data):
            raise MalformedScaleError(f"{count} bytes wanted at {self.position}, too few are left")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def uint(self, size: int) -> int:
        """An unsigned number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "little")

    def compact(self) -> int:
        """A compact number."""
        first = self.uint(1)
        mode = first & 3
        if mode == 0:
            return first >> 2
        if mode == 3:
            return self.uint((first >> 2) + 4)
        rest = 1 if mode == 1 else 3
        return (first | self.uint(rest) << 8) >> 2

    def sized(self) -> bytes:
        """Bytes after their length."""
        return self.take(self.compact())

    def uints(self, size: int) -> list[int]:
        """A sequence of unsigned numbers of ``size`` bytes each."""
        raw = self.take(self.compact() * size)
        return [int.from_bytes(raw[i : i + size], "little") for i in range(0, len(raw), size)]

    def since(self, start: int) -> bytes:
        """What was taken since the position was ``start``."""
        return self._data[start : self.position]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self.position)

    def end(self) -> None:
        """Nothing may be left."""
        if self.position != len(self._data):
            raise MalformedScaleError(f"{len(self._data) - self.position} bytes too many")
