"""The wallet that a program's settings name."""

from __future__ import annotations

import bittensor as bt

from neurons.settings import WalletSettings
from utilities import chain_wallets


def open_wallet(settings: WalletSettings) -> bt.Wallet:
    """The wallet with its hotkey unlocked. Raises WalletError."""
    return chain_wallets.open_wallet(
        settings.wallet_name, settings.wallet_hotkey, settings.wallet_path
    )
