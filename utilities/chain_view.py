"""A subnet at one block, as the competition takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scoring.competition import Participant
from utilities.chain import Chain, Commitment, Metagraph


@dataclass(frozen=True)
class View:
    """The neurons of a subnet, and its commitments by hotkey, at one block."""

    metagraph: Metagraph
    commitments: Mapping[str, Commitment]

    @property
    def block(self) -> int:
        """The block that all was read at."""
        return self.metagraph.block

    def participants(self) -> tuple[Participant, ...]:
        """The registered hotkeys."""
        return tuple(
            _participant(neuron.hotkey, neuron.coldkey, self.commitments.get(neuron.hotkey))
            for neuron in self.metagraph.neurons
        )


def read_view(chain: Chain, netuid: int) -> View:
    """The subnet at the newest block that cannot change any more. Raises ChainError."""
    block = chain.finalized_block()
    commitments = chain.commitments(netuid, block=block)
    by_hotkey = {entry.hotkey: entry for entry in commitments}
    return View(chain.metagraph(netuid, block=block), by_hotkey)


def _participant(hotkey: str, coldkey: str, commitment: Commitment | None) -> Participant:
    if commitment is None:
        return Participant(hotkey=hotkey, coldkey=coldkey)
    return Participant(
        hotkey=hotkey,
        coldkey=coldkey,
        commitment_block=commitment.block,
        commitment=commitment.text,
    )
