"""Recognising addresses of the chain: base58 with a prefix and a checksum."""

from __future__ import annotations

import hashlib
from typing import Final

SUBSTRATE_PREFIX: Final = 42
"""The address format of Bittensor; see the SS58 registry."""
ADDRESS_CHARS: Final = 48

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BYTES: Final = 1 + 32 + 2  # prefix, public key, checksum


def is_ss58(text: str) -> bool:
    """Whether ``text`` is the address of an account on the chain, its checksum right."""
    if len(text) != ADDRESS_CHARS or any(letter not in _ALPHABET for letter in text):
        return False
    number = 0
    for letter in text:
        number = number * len(_ALPHABET) + _ALPHABET.index(letter)
    if number.bit_length() > 8 * _BYTES:
        return False
    raw = number.to_bytes(_BYTES, "big")
    checksum = hashlib.blake2b(b"SS58PRE" + raw[:-2]).digest()[:2]
    return raw[0] == SUBSTRATE_PREFIX and raw[-2:] == checksum
