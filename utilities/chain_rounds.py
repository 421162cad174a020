"""Rounds as the service signs them with its hotkey and everybody checks them.

The signature is over the canonical JSON of the snapshot, so that whoever holds the snapshot and
the signature can show that the service published exactly this.
"""

from __future__ import annotations

from typing import Any, ClassVar

import bittensor as bt
from bittensor.sp_core import verify

from scoring.competition import CryptoName, RoundSnapshot, SignedRound
from utilities.errors import SubnetError

_CRYPTO_TYPES: dict[CryptoName, int] = {"ed25519": 0, "sr25519": 1}
"""As the SDK numbers them."""


class RoundForgedError(SubnetError):
    """A round is not what its signature, its digest or its signer say."""

    code: ClassVar[str] = "ROUND_FORGED"


def sign_round(snapshot: RoundSnapshot, wallet: Any) -> SignedRound:
    """Sign a snapshot with the wallet's hotkey."""
    signer = bt.resolve_signer(wallet, role="hotkey")
    names = {number: name for name, number in _CRYPTO_TYPES.items()}
    return SignedRound(
        snapshot=snapshot,
        digest=snapshot.digest,
        hotkey=signer.ss58_address,
        crypto=names[signer.crypto_type],
        signature=bytes(signer.sign(snapshot.canonical)).hex(),
    )


def check_round(signed: SignedRound, *, signer: str) -> RoundSnapshot:
    """The snapshot, when the hotkey ``signer`` signed it. Raises RoundForgedError."""
    snapshot = signed.snapshot
    if signed.hotkey != signer:
        raise _forged(snapshot, f"{signed.hotkey} signed it instead of {signer}")
    if signed.digest != snapshot.digest:
        raise _forged(snapshot, f"its digest is {snapshot.digest}, not {signed.digest}")
    signature, crypto_type = bytes.fromhex(signed.signature), _CRYPTO_TYPES[signed.crypto]
    try:
        valid = verify(snapshot.canonical, signature, signer, crypto_type)
    except ValueError:
        valid = False
    if not valid:
        raise _forged(snapshot, "the signature does not belong to it")
    return snapshot


def _forged(snapshot: RoundSnapshot, reason: str) -> RoundForgedError:
    return RoundForgedError(
        f"round {snapshot.number} cannot be trusted: {reason}",
        "Do not use it. Ask whoever runs the API.",
    )
