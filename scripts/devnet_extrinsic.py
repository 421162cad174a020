"""Signed extrinsics: taking them apart and checking who signed what.

The layout and the signed payload are written down here once more, so that a client which signs
other bytes than the real chain expects is found out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from devnet_core import ED25519, SR25519, address_of, is_signed
from devnet_pallets import SPEC_VERSION, TRANSACTION_VERSION
from devnet_scale import MalformedScaleError, Reader, uint

MAX_EXTRINSIC_BYTES: Final = 64 * 1_024
IMMORTAL: Final = 0

_SIGNED_V4: Final = 0x84
_ADDRESS_ID: Final = 0
_KEY_TYPES: Final = {0: ED25519, 1: SR25519}
_HASHED_FROM: Final = 256
"""Longer payloads are signed by their hash."""


class InvalidExtrinsicError(Exception):
    """The pool refuses an extrinsic, in the words of a node."""


@dataclass(frozen=True)
class Era:
    """The blocks in which an extrinsic may be included; immortal when ``period`` is 0."""

    period: int
    phase: int

    def birth(self, current: int) -> int:
        """The block whose hash is signed."""
        if self.period == IMMORTAL:
            return 0
        return (max(current, self.phase) - self.phase) // self.period * self.period + self.phase


@dataclass(frozen=True)
class Extrinsic:
    """A signed call. ``signed_part`` is what of the payload travels in the extrinsic."""

    raw: bytes
    signer: str
    key_type: int
    signature: bytes
    era: Era
    nonce: int
    call: bytes
    signed_part: bytes

    @property
    def hash(self) -> bytes:
        """How clients name it."""
        return extrinsic_hash(self.raw)

    def check_signature(self, *, genesis: bytes, era_block: bytes) -> None:
        """Raises InvalidExtrinsicError unless the signer signed this call for this chain."""
        versions = uint(SPEC_VERSION, 4) + uint(TRANSACTION_VERSION, 4)
        no_metadata_hash = b"\x00"
        payload = self.call + self.signed_part + versions + genesis + era_block + no_metadata_hash
        if len(payload) > _HASHED_FROM:
            payload = hashlib.blake2b(payload, digest_size=32).digest()
        if not is_signed(payload, self.signature, self.signer, self.key_type):
            raise InvalidExtrinsicError("Transaction has a bad signature")


def extrinsic_hash(raw: bytes) -> bytes:
    """How clients name an extrinsic."""
    return hashlib.blake2b(raw, digest_size=32).digest()


def parse_extrinsic(raw: bytes) -> Extrinsic:
    """Take a signed extrinsic apart. Raises InvalidExtrinsicError."""
    if len(raw) > MAX_EXTRINSIC_BYTES:
        raise InvalidExtrinsicError("Transaction would exhaust the block limits")
    try:
        return _parse(raw)
    except MalformedScaleError as error:
        raise InvalidExtrinsicError(f"Transaction cannot be decoded: {error}") from error


def _parse(raw: bytes) -> Extrinsic:
    outer = Reader(raw)
    reader = Reader(outer.sized())
    outer.end()
    if reader.uint(1) != _SIGNED_V4 or reader.uint(1) != _ADDRESS_ID:
        raise InvalidExtrinsicError("Transaction is not signed by an account id, version 4")
    signer = address_of(reader.take(32))
    kind = reader.uint(1)
    if kind not in _KEY_TYPES:
        raise InvalidExtrinsicError("Transaction has an unknown kind of signature")
    signature = reader.take(64)
    start = reader.position
    era = _era(reader)
    nonce = reader.compact()
    reader.compact()  # tip
    if reader.uint(1):
        raise InvalidExtrinsicError("Transaction signs a metadata hash, which is unknown here")
    signed_part = reader.since(start)
    return Extrinsic(
        raw, signer, _KEY_TYPES[kind], signature, era, nonce, reader.rest(), signed_part
    )


def _era(reader: Reader) -> Era:
    """See sp_runtime's ``Era``: a zero byte, or two bytes with the period's exponent and phase."""
    first = reader.uint(1)
    if first == IMMORTAL:
        return Era(IMMORTAL, 0)
    encoded = first | reader.uint(1) << 8
    period = 2 << (encoded % 16)
    phase = (encoded >> 4) * max(period >> 12, 1)
    if period < 4 or phase >= period:
        raise InvalidExtrinsicError("Transaction has an impossible era")
    return Era(period, phase)
