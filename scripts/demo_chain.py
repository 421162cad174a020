"""The rehearsal chain of the demo: who is on it, how it passes a day, which weights stand there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bittensor as bt
import devnet_client
from devnet_client import open_or_make_wallet

from utilities.chain import Chain
from utilities.chain_errors import translated

# So that whoever asks meanwhile is answered within a second.
BLOCKS_AT_ONCE = 400


def make_hotkey(wallets: Path, name: str) -> str:
    """The address of a new wallet's hotkey."""
    return str(open_or_make_wallet(name, "default", wallets).hotkey.ss58_address)


@dataclass(frozen=True)
class DemoChain:
    """A chain at ``url``. Every method raises the errors of devnet_client and chain_errors."""

    url: str
    netuid: int
    wallets: Path

    def join(self, name: str, *, stake: float = 0.0) -> str:
        """Register the hotkey of a wallet, which is made; its address."""
        wallet = open_or_make_wallet(name, "default", self.wallets)
        devnet_client.register(self.url, wallet, netuid=self.netuid, stake=stake)
        return str(wallet.hotkey.ss58_address)

    def height(self) -> int:
        """The number of the newest block."""
        return int(devnet_client.ask(self.url, "chain_getHeader", [])["number"], 16)

    def advance_to(self, block: int, shown: Callable[[int], None]) -> None:
        """Make blocks up to ``block`` at once; ``shown`` is told the height now and then."""
        while (height := self.height()) < block:
            shown(height)
            blocks = min(block - height, BLOCKS_AT_ONCE)
            devnet_client.ask(self.url, "dev_advance", {"blocks": blocks})
        shown(height)

    def weights_of(self, validator: str) -> dict[str, float]:
        """What a validator's hotkey has set: parts of one by hotkey; nothing before it has."""
        with Chain(self.url) as chain:
            neurons = chain.metagraph(self.netuid).neurons
        hotkeys = {neuron.uid: neuron.hotkey for neuron in neurons}
        uid = next(uid for uid, hotkey in hotkeys.items() if hotkey == validator)
        with translated(self.url), bt.Subtensor(self.url) as client:
            pairs = client.query(("SubtensorModule", "Weights"), [self.netuid, uid])
        values = {hotkeys[int(of)]: int(value) for of, value in pairs}
        total = sum(values.values())
        return {hotkey: value / total for hotkey, value in values.items()}
