"""The subnet as a validator sees it, at one block."""

from __future__ import annotations

from dataclasses import dataclass

from neurons.chain_past import Commitments, commitments_at
from scoring.competition import Participant
from utilities.chain import Chain, Commitment, Metagraph


@dataclass(frozen=True)
class View:
    """The neurons and the commitments of a subnet at one block."""

    metagraph: Metagraph
    commitments: Commitments

    @property
    def block(self) -> int:
        """The block that all was read at."""
        return self.metagraph.block

    def participants(self) -> tuple[Participant, ...]:
        """The registered hotkeys as the competition takes them."""
        return tuple(
            _participant(neuron.hotkey, neuron.coldkey, self.commitments.get(neuron.hotkey))
            for neuron in self.metagraph.neurons
        )


def read_view(chain: Chain, netuid: int) -> View:
    """The subnet at the newest block that cannot change any more. Raises ChainError."""
    block = chain.finalized_block()
    metagraph = chain.metagraph(netuid, block=block)
    return View(metagraph, commitments_at(chain, netuid, block))


def _participant(hotkey: str, coldkey: str, commitment: Commitment | None) -> Participant:
    if commitment is None:
        return Participant(hotkey=hotkey, coldkey=coldkey)
    return Participant(
        hotkey=hotkey,
        coldkey=coldkey,
        commitment_block=commitment.block,
        commitment=commitment.text,
    )
