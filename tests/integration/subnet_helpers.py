"""A subnet as the model queue sees it: a rehearsal chain, miners, and a ledger of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bittensor as bt
from devnet_helpers import NETUID, RunningDevnet, commit

from neurons.model_queue_chain import Observation, observe
from neurons.model_queue_ledger import Ledger, Recorded, State
from utilities.chain import Chain
from utilities.model_reference import format_reference, make_reference

OWNER = "alice"
SEAL = """
import sys
from bittensor import timelock
sealed = timelock.encrypt(sys.argv[1], reveal_in=sys.argv[2])
print(sealed.encrypted.hex(), sealed.reveal_round)
"""


@dataclass(frozen=True)
class Subnet:
    """A rehearsal chain, and what was seen of it."""

    devnet: RunningDevnet
    chain: Chain
    ledger: Ledger
    wallets: Path

    def miner(self, name: str = "miner") -> bt.Wallet:
        """A registered wallet."""
        return self.devnet.member(self.wallets, name)

    def commit(self, wallet: bt.Wallet, text: str) -> int:
        """Commit a text; the block."""
        return self.chain.commit(NETUID, text, wallet).block

    def seal(self, wallet: bt.Wallet, text: str, *, hours: float = 1.0) -> int:
        """Commit a text that opens ``hours`` after the chain's present time; the block."""
        with self.devnet.client() as client:
            now = bt.timelock.current_round(float(client.time.timestamp()))
            seconds = (now - bt.timelock.current_round()) * 3 + hours * 3_600
            encrypted, opens = self.devnet.run_sealing(SEAL, text, str(seconds)).split()
            field = {"encrypted": f"0x{encrypted}", "reveal_round": int(opens)}
            assert commit(client, wallet, {"TimelockEncrypted": field}).success
            return int(client.block)

    def look(self) -> Observation:
        """What the queue does first in every pass."""
        return observe(self.chain, NETUID, self.ledger)

    def states(self, wallet: bt.Wallet) -> dict[int, State]:
        """The miner's commitments by block."""
        return {found.block: found.state for found in self.all() if found.hotkey == key(wallet)}

    def all(self) -> list[Recorded]:
        """Everything recorded, by block."""
        found = [entry for state in State for entry in self.ledger.in_state(state)]
        return sorted(found, key=lambda entry: entry.block)


def key(wallet: bt.Wallet) -> str:
    """The address of the wallet's hotkey."""
    return str(wallet.hotkey.ss58_address)


def reference_of(wallet: bt.Wallet, name: str = "voice", revision: str | None = None) -> str:
    """A well-formed commitment of the wallet's hotkey."""
    return format_reference(
        make_reference(
            namespace=OWNER,
            name=name,
            config_template="default",
            hotkey=key(wallet),
            competition_id="tts",
            revision=revision,
            weights_digest=None if revision is None else "cd" * 32,
        )
    )
