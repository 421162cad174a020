"""Opening the keys that sign."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import bittensor as bt
from bittensor.keyfiles import KeyfileError

from utilities.errors import SubnetError


class WalletError(SubnetError):
    """The keys that must sign cannot be had."""

    code: ClassVar[str] = "WALLET_UNUSABLE"


def open_wallet(name: str, hotkey: str, path: Path) -> Any:
    """The ``bittensor`` wallet with its hotkey unlocked.

    An encrypted hotkey's password comes from the environment variable that the SDK names for it,
    or from the terminal when there is one. Raises WalletError.
    """
    try:
        wallet = bt.Wallet(name=name, hotkey=hotkey, path=str(path.expanduser()))
    except ValueError as error:
        raise WalletError(
            f"no wallet has that name: {error}", "Check --wallet.name and --wallet.hotkey."
        ) from error
    _unlock(wallet)
    return wallet


def _unlock(wallet: Any) -> None:
    keyfile = wallet.hotkey_file
    if not keyfile.exists_on_device():
        raise WalletError(
            f"there is no hotkey {wallet.hotkey_str!r:.100} in wallet {wallet.name!r:.100}: "
            f"{keyfile.path} does not exist",
            "Check --wallet.name, --wallet.hotkey and --wallet.path, or make it with "
            "`btcli wallet create`.",
        )
    known = keyfile.env_var_name() in os.environ
    if keyfile.is_encrypted() and not known and not sys.stdin.isatty():
        raise WalletError(
            f"the hotkey in {keyfile.path} has a password, and there is no terminal to ask for it",
            "Run this in a terminal, or use a hotkey without a password.",
        )
    try:
        wallet.get_hotkey()
    except (KeyfileError, ValueError, OSError) as error:
        raise WalletError(
            f"the hotkey in {keyfile.path} cannot be opened: {error}",
            "Check the file, its permissions and its password.",
        ) from error
