"""Reading what was committed after past blocks, each once: the past does not change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from utilities.chain import Chain, Commitment
from utilities.chain_errors import HistoryPrunedError

Commitments: TypeAlias = Mapping[str, Commitment]
"""By hotkey."""
PastCommitments: TypeAlias = Callable[[int], "Commitments | None"]
"""What was committed after a past block; None where the node has forgotten that block."""

MAX_PAST_BLOCKS: Final = 256
"""Past blocks that are remembered; each holds the commitments of a whole subnet."""

log = logging.getLogger(__name__)


def past_of(chain: Chain, netuid: int) -> PastCommitments:
    """Reads past blocks, which must be final. Calling the result raises ChainError."""

    @lru_cache(MAX_PAST_BLOCKS)
    def past(block: int) -> Commitments | None:
        try:
            return commitments_at(chain, netuid, block)
        except HistoryPrunedError as error:
            log.warning("not checked at block %d: %s. %s", block, error.message, error.remedy)
            return None

    return past


def commitments_at(chain: Chain, netuid: int, block: int) -> Commitments:
    """What was committed after a block. Raises ChainError."""
    return {entry.hotkey: entry for entry in chain.commitments(netuid, block=block)}
