"""Uniform choices that every implementation can recompute: sha256 in counter mode.

For a seed, an index and a purpose, block ``n`` (0, 1, ...) is sha256 over the ASCII bytes of the
JSON array ``[STREAM_VERSION, seed, index, purpose, n]``, written without spaces and with every
non-ASCII character of the seed escaped as ``\\uXXXX`` (surrogate pairs above U+FFFF, lower-case
hex), which is Python's ``json.dumps(..., separators=(",", ":"))``. A block yields four unsigned
64-bit big-endian words, first to last. A choice among ``k`` options takes the next word ``w``,
skips it if ``w >= 2**64 - 2**64 % k``, and else picks option ``w % k``. A choice among one option
takes a word as well.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TypeVar

STREAM_VERSION = "tts-prompts-1"
"""Part of every draw. It changes with the text bank and with the way prompts are composed."""

_WORDS = 2**64

T = TypeVar("T")


class Draws:
    """The choices for one purpose of one prompt, in order."""

    def __init__(self, seed: str, index: int, purpose: str) -> None:
        self._words = _words(seed, index, purpose)

    def choose(self, options: Sequence[T]) -> T:
        """One of ``options``, each equally likely."""
        limit = _WORDS - _WORDS % len(options)
        word = next(word for word in self._words if word < limit)
        return options[word % len(options)]


def _words(seed: str, index: int, purpose: str) -> Iterator[int]:
    for block in count():
        name = json.dumps([STREAM_VERSION, seed, index, purpose, block], separators=(",", ":"))
        yield from struct.unpack(">4Q", hashlib.sha256(name.encode("ascii")).digest())
