"""How errors of the SDK become ours, where no rehearsal chain makes them."""

from __future__ import annotations

import bittensor as bt
import pytest
from bittensor._substrate import _public_request_error
from bittensor._transport.errors import StateDiscardedError

from utilities.chain_errors import (
    ChainRefusedError,
    ChainUnreachableError,
    HistoryPrunedError,
    translated,
)


def test_history_that_a_node_has_forgotten_is_no_outage() -> None:
    """With the SDK's own error: its type is private, so we know it by its message."""
    with pytest.raises(HistoryPrunedError, match="0xab") as caught, translated("ws://node"):
        raise _public_request_error(StateDiscardedError("0xab"))
    assert not caught.value.transient
    assert "history" in caught.value.remedy


@pytest.mark.parametrize("error", [OSError("gone"), TimeoutError(), bt.ChainError("broken pipe")])
def test_a_connection_that_breaks_is_an_outage(error: Exception) -> None:
    unreachable = pytest.raises(ChainUnreachableError, match="ws://node does not answer")
    with unreachable, translated("ws://node"):
        raise error


def test_what_the_sdk_will_not_send_is_refused() -> None:
    with pytest.raises(ChainRefusedError, match="before it was sent"), translated("ws://node"):
        raise bt.TimelockError("reveal_in must be a positive duration")
