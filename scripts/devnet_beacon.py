"""The beacon that opens what is sealed until a round, and an SDK that seals for it.

Sealing is identity-based encryption to the beacon's public key and a round number; the round's
signature opens it. Nobody outside the drand network can sign rounds of the real beacon, so the
rehearsal chain has one of its own, whose secret key is zero: public key and signatures are the
points at infinity. That keeps no secrets, and every step of sealing and opening is the real one.

The SDK has the real beacon's key built in. ``write_sealing_sdk`` makes a copy of its compiled
core with the key exchanged: a program that starts with that directory first on PYTHONPATH seals
for this chain, and is the unmodified SDK otherwise. What the SDK sealed for the real beacon fails
to be revealed here.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import ClassVar, Final

from devnet_core import open_envelope
from devnet_scale import sized, uint

from utilities.errors import SubnetError

GENESIS_MILLIS: Final = 1_692_803_367_000
PERIOD_MILLIS: Final = 3_000
"""Round 1 and the time between rounds, those of drand's quicknet."""

_CORE: Final = "bittensor_core"
_QUICKNET_KEY: Final = (
    b"83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
    b"0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
)
_INFINITY_KEY: Final = b"c0" + b"00" * 95
_INFINITY_SIGNATURE: Final = "c0" + "00" * 47


class SealingSdkError(SubnetError):
    """The SDK's core is not the one that we know how to copy."""

    code: ClassVar[str] = "SEALING_SDK_UNKNOWN"


def round_at(millis: int) -> int:
    """The newest round at a time in milliseconds since 1970."""
    return max(0, (millis - GENESIS_MILLIS) // PERIOD_MILLIS + 1)


def open_sealed(ciphertext: bytes, reveal_round: int) -> bytes | None:
    """The plaintext, with the signature of this beacon; None when that does not open it.

    The chain takes the ciphertext itself or the envelope around it, which names the round too.
    """
    trailer = uint(reveal_round, 8)
    envelope = ciphertext if ciphertext.endswith(trailer) else sized(ciphertext) + trailer
    return open_envelope(envelope, _INFINITY_SIGNATURE)


def write_sealing_sdk(directory: Path) -> None:
    """Copy the SDK's core into ``directory``, sealing for this beacon. Raises SealingSdkError."""
    found = importlib.util.find_spec(_CORE)
    if found is None or found.origin is None:
        raise SealingSdkError(f"{_CORE} is not installed", "Install bittensor.")
    target = directory / _CORE
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(Path(found.origin).parent, target, ignore=shutil.ignore_patterns("__pycache__"))
    exchanged = 0
    for library in (*target.glob("*.so"), *target.glob("*.pyd")):
        content = library.read_bytes()
        exchanged += content.count(_QUICKNET_KEY)
        library.write_bytes(content.replace(_QUICKNET_KEY, _INFINITY_KEY))
    if exchanged != 1:
        raise SealingSdkError(
            f"the beacon's key is {exchanged} times in {_CORE}, not once",
            "Install the version of bittensor that constraints.txt names.",
        )
