"""The exit codes of the programs on chain."""

from __future__ import annotations

from typing import Final

from utilities.chain_wallets import WalletError
from utilities.errors import SubnetError
from utilities.model_reference import InvalidReferenceError

OK: Final = 0
REFUSED: Final = 1
"""Something must be changed first; the message says what."""
SETTINGS: Final = 2
"""A flag, a setting or a key is wrong or missing."""
LATER: Final = 3
"""The hub, the chain or the API does not answer, or it is too early: the same command may succeed
later."""
INTERRUPTED: Final = 130


def exit_code(error: SubnetError) -> int:
    """How a program ends that ``error`` stops."""
    if error.transient:
        return LATER
    return SETTINGS if isinstance(error, (WalletError, InvalidReferenceError)) else REFUSED
