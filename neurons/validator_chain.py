"""The subnet as a validator sees it: at one block, and at past ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from scoring.competition import Participant
from utilities.chain import Chain, Commitment, Metagraph
from utilities.chain_errors import HistoryPrunedError

Commitments: TypeAlias = Mapping[str, Commitment]
"""By hotkey."""
PastCommitments: TypeAlias = Callable[[int], "Commitments | None"]
"""What was committed after a past block; None where the node has forgotten that block."""

MAX_PAST_BLOCKS: Final = 256
"""Past blocks that are remembered; each holds the commitments of a whole subnet."""

log = logging.getLogger(__name__)


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
    """The subnet now. Raises ChainError."""
    metagraph = chain.metagraph(netuid)
    return View(metagraph, _by_hotkey(chain, netuid, metagraph.block))


def past_of(chain: Chain, netuid: int) -> PastCommitments:
    """Reads past blocks, and remembers them: the past does not change. Raises ChainError."""

    @lru_cache(MAX_PAST_BLOCKS)
    def past(block: int) -> Commitments | None:
        try:
            return _by_hotkey(chain, netuid, block)
        except HistoryPrunedError as error:
            log.warning("not checked at block %d: %s. %s", block, error.message, error.remedy)
            return None

    return past


def _by_hotkey(chain: Chain, netuid: int, block: int) -> Commitments:
    return {entry.hotkey: entry for entry in chain.commitments(netuid, block=block)}


def _participant(hotkey: str, coldkey: str, commitment: Commitment | None) -> Participant:
    if commitment is None:
        return Participant(hotkey=hotkey, coldkey=coldkey)
    return Participant(
        hotkey=hotkey,
        coldkey=coldkey,
        commitment_block=commitment.block,
        commitment=commitment.text,
    )
