"""All that the node uses of the SDK's compiled core: addresses, signatures, seals, the codec."""

from __future__ import annotations

from typing import Any, Final

import bittensor_core as core  # type: ignore[import-untyped]
from devnet_pallets import SPEC_VERSION, TRANSACTION_VERSION

SS58_FORMAT: Final = 42
ED25519: Final[int] = core.CRYPTO_ED25519
SR25519: Final[int] = core.CRYPTO_SR25519


def address_of(public_key: bytes) -> str:
    """The address of a public key."""
    return str(core.ss58_encode(public_key, SS58_FORMAT))


def key_of(address: str) -> bytes:
    """The public key of an address."""
    return bytes(core.ss58_decode(address))


def is_signed(message: bytes, signature: bytes, address: str, kind: int) -> bool:
    """Whether the account signed the message."""
    return bool(core.verify(message, signature, address, kind))


def open_envelope(envelope: bytes, round_signature: str) -> bytes | None:
    """What was sealed until a round, with its signature in hexadecimal; None if it is not that."""
    try:
        return bytes(core.decrypt_with_signature(envelope, round_signature))
    except ValueError:
        return None


def make_runtime(metadata: bytes) -> Any:
    """The codec over our metadata."""
    return core.Runtime(metadata, SPEC_VERSION, TRANSACTION_VERSION)
