"""Whether a node of the chain answers at all, asked without anything that a new version may change.

A plain JSON-RPC request over a websocket: neither the SDK nor what a validator makes of the answer
takes part, and where to ask is settled when the probe is made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from bittensor.settings import resolve_endpoint
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

ANSWER_SECONDS: Final = 10.0
"""For the connection, and for the answer."""
MAX_ANSWER_BYTES: Final = 1 << 20

_REQUEST: Final = {"jsonrpc": "2.0", "id": 1, "method": "chain_getHeader", "params": []}


@dataclass(frozen=True)
class ChainProbe:
    """Asks the node at ``url``, which starts with ws:// or wss://."""

    url: str

    def answers(self) -> bool:
        """Whether the node tells its newest block within ``ANSWER_SECONDS``."""
        try:
            with connect(
                self.url,
                open_timeout=ANSWER_SECONDS,
                close_timeout=1.0,
                max_size=MAX_ANSWER_BYTES,
            ) as connection:
                connection.send(json.dumps(_REQUEST))
                answer: Any = json.loads(connection.recv(timeout=ANSWER_SECONDS))
        except (OSError, WebSocketException, ValueError):
            return False
        return isinstance(answer, dict) and bool(answer.get("result"))


def probe_of(endpoint: str) -> ChainProbe:
    """The probe of an address, or of a network that the SDK knows by name."""
    return ChainProbe(resolve_endpoint(endpoint)[1])
