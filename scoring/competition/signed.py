"""A snapshot as the service publishes it: signed (``utilities/chain_rounds.py``)."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from scoring.competition.records import Published, RoundSnapshot
from scoring.contract import Hex64

CryptoName: TypeAlias = Literal["ed25519", "sr25519"]


class SignedRound(Published):
    """A snapshot, its digest, and the hotkey that signed its canonical JSON."""

    snapshot: RoundSnapshot
    digest: Hex64
    hotkey: str = Field(max_length=64, description="ss58")
    crypto: CryptoName
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")
