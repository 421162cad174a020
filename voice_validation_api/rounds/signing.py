"""Which keeper signs which round, checked before anything immutable is published."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from scoring.competition import SignedRound
from utilities.errors import SubnetError
from utilities.round_signers import RoundSigners
from voice_validation_api.rounds.records import Published


class SignersWrongError(SubnetError):
    """The signers that were set do not fit the wallet, or what is published already."""

    code: ClassVar[str] = "ROUND_SIGNERS_WRONG"


def check_signers(signers: RoundSigners, *, hotkey: str, published: Iterable[Published]) -> None:
    """Raises SignersWrongError where ``hotkey`` signs no round, or a round is another's already."""
    if not signers.sign_any(hotkey):
        raise SignersWrongError(
            f"ROUND_SIGNERS is {signers}, and this keeper's hotkey {hotkey} is not among them",
            "Give the wallet of one of them, or name this hotkey and its first round.",
        )
    for row in published:
        signed = SignedRound.model_validate_json(row.published)
        if signed.hotkey != signers.of(row.number):
            raise SignersWrongError(
                f"ROUND_SIGNERS says that {signers.of(row.number)} signs round {row.number}, "
                f"but {signed.hotkey} has signed it",
                "A round that is published stays as it is: hand over at a later round.",
            )
