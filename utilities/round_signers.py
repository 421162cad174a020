"""Who signs which round: exactly one hotkey for each, so that no round can have two versions.

Written as ``HOTKEY``, or with every hand-over that was agreed: ``OLD,NEW@612`` says that NEW signs
round 612 and all after it. A key that was handed over signs nothing more, even if it leaked; what
it signed before is held by the digests that later rounds name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from utilities.ss58 import is_ss58

MAX_SIGNERS: Final = 16
MAX_ROUND: Final = 2**48

_HANDOVER: Final = re.compile(r"(?P<hotkey>[^@]*)@(?P<round>[1-9][0-9]{0,14})")
_EXAMPLE: Final = "write HOTKEY, or OLD,NEW@ROUND where NEW signs from round ROUND on"


@dataclass(frozen=True)
class RoundSigner:
    """A hotkey, and the first round that it signs."""

    hotkey: str
    first_round: int

    def __str__(self) -> str:
        """As it is written in settings."""
        return f"{self.hotkey}@{self.first_round}" if self.first_round else self.hotkey


@dataclass(frozen=True)
class RoundSigners:
    """Hotkeys by the first round that each signs; the first of them signs from round 0."""

    signers: tuple[RoundSigner, ...]

    def __post_init__(self) -> None:
        firsts = [signer.first_round for signer in self.signers]
        if not 1 <= len(firsts) <= MAX_SIGNERS:
            raise ValueError(f"{len(firsts)} hotkeys; name 1 to {MAX_SIGNERS}")
        if firsts[0] != 0:
            raise ValueError(f"the first hotkey signs from the beginning: {_EXAMPLE}")
        if any(later <= earlier for earlier, later in pairwise(firsts)):
            raise ValueError(f"each hand-over must come after the one before it: {_EXAMPLE}")
        if firsts[-1] >= MAX_ROUND:
            raise ValueError(f"there is no round {firsts[-1]}")
        if len({signer.hotkey for signer in self.signers}) < len(firsts):
            raise ValueError("a hotkey is named twice: what was handed over does not come back")
        strange = [signer.hotkey for signer in self.signers if not is_ss58(signer.hotkey)]
        if strange:
            raise ValueError(f"not the ss58 address of a hotkey: {strange[0]!r:.80}; {_EXAMPLE}")

    def __str__(self) -> str:
        """As it is written in settings."""
        return ",".join(map(str, self.signers))

    def of(self, number: int) -> str:
        """The hotkey that signs round ``number``."""
        return next(s.hotkey for s in reversed(self.signers) if s.first_round <= number)

    def sign_any(self, hotkey: str) -> bool:
        """Whether ``hotkey`` signs any round at all."""
        return any(signer.hotkey == hotkey for signer in self.signers)


def parse_signers(text: str) -> RoundSigners:
    """Signers as they are written in settings. Raises ValueError."""
    return RoundSigners(tuple(_signer(part.strip()) for part in text.split(",")))


def only_signer(hotkey: str) -> RoundSigners:
    """One hotkey that signs every round. Raises ValueError."""
    return RoundSigners((RoundSigner(hotkey, 0),))


def _signer(part: str) -> RoundSigner:
    handover = _HANDOVER.fullmatch(part)
    if handover is None:
        return RoundSigner(part, 0)
    return RoundSigner(handover["hotkey"], int(handover["round"]))


def _parsed(given: object) -> object:
    return parse_signers(given) if isinstance(given, str) else given


SignersText: TypeAlias = Annotated[RoundSigners, BeforeValidator(_parsed), NoDecode]
"""A field that is given as text."""
