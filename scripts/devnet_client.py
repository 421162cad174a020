"""Asking a rehearsal chain, and wallets for it: keys without a password, for rehearsals only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bittensor as bt
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from utilities.errors import SubnetError

ANSWER_SECONDS = 30


class DevnetUnreachableError(SubnetError):
    """No rehearsal chain answers there."""

    code = "DEVNET_UNREACHABLE"
    transient = True


class DevnetRefusedError(SubnetError):
    """The rehearsal chain does not do what was asked for."""

    code = "DEVNET_REFUSED"


def ask(endpoint: str, method: str, params: object) -> Any:
    """The result of one JSON-RPC request, such as ``dev_advance`` (scripts/devnet_control.py).

    Raises DevnetUnreachableError and DevnetRefusedError.
    """
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    try:
        with connect(endpoint, open_timeout=ANSWER_SECONDS) as connection:
            connection.send(json.dumps(request))
            answer = json.loads(connection.recv(timeout=ANSWER_SECONDS))
    except (OSError, TimeoutError, WebSocketException) as error:
        raise DevnetUnreachableError(
            f"no rehearsal chain at {endpoint}: {error}", "Start one: python scripts/devnet.py"
        ) from error
    if "error" in answer:
        told = f"{answer['error']['message']} {answer['error']['data'] or ''}".strip()
        raise DevnetRefusedError(f"{method}: {told}", "See scripts/devnet_control.py.")
    return answer["result"]


def open_or_make_wallet(name: str, hotkey: str, path: Path) -> Any:
    """The ``bittensor`` wallet; keys that are missing are made. Raises KeyfileError, ValueError."""
    wallet = bt.Wallet(name=name, hotkey=hotkey, path=str(path.expanduser()))
    if not wallet.coldkeypub_file.exists_on_device():
        wallet.create_new_coldkey(use_password=False, suppress=True)
    if not wallet.hotkey_file.exists_on_device():
        wallet.create_new_hotkey(use_password=False, suppress=True)
    return wallet


def register(endpoint: str, wallet: Any, *, netuid: int, stake: float) -> int:
    """Give the wallet's hotkey a place on the subnet, with ``stake`` TAO; the block.

    Raises DevnetUnreachableError and DevnetRefusedError.
    """
    asked = {
        "netuid": netuid,
        "hotkey": wallet.hotkey.ss58_address,
        "coldkey": wallet.coldkeypub.ss58_address,
        "stake": stake,
    }
    return int(ask(endpoint, "dev_register", asked))
