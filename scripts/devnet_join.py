"""Join a rehearsal chain: make a wallet if there is none, and register its hotkey without cost.

The keys have no password and are for rehearsals only. Exit codes: 0 registered; 1 the chain refuses
it; 2 no rehearsal chain answers there, or the wallet cannot be opened.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bittensor as bt
from bittensor.keyfiles import KeyfileError
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

ANSWER_SECONDS = 30
EXAMPLE = """\
example:
  python scripts/devnet_join.py --wallet.name miner --wallet.path var/wallets
  python scripts/devnet_join.py --wallet.name validator --wallet.path var/wallets --stake 100
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Register one hotkey; returns the exit code."""
    args = _parse(argv)
    try:
        wallet = _wallet(args.wallet_name, args.wallet_hotkey, args.wallet_path)
        asked = {
            "netuid": args.netuid,
            "hotkey": wallet.hotkey.ss58_address,
            "coldkey": wallet.coldkeypub.ss58_address,
            "stake": args.stake,
        }
        answer = _request(args.chain_endpoint, "dev_register", asked)
    except (OSError, TimeoutError, WebSocketException) as error:
        print(f"error: no rehearsal chain at {args.chain_endpoint}: {error}", file=sys.stderr)
        print("Start one: python scripts/devnet.py", file=sys.stderr)
        return 2
    except (KeyfileError, ValueError) as error:
        print(f"error: the wallet {args.wallet_name}: {error}", file=sys.stderr)
        return 2
    if "error" in answer:
        print(
            f"error: {answer['error']['message']}", answer["error"]["data"] or "", file=sys.stderr
        )
        return 1
    print(f"{asked['hotkey']} is registered on subnet {args.netuid}, block {answer['result']}")
    return 0


def _wallet(name: str, hotkey: str, path: Path) -> Any:
    wallet = bt.Wallet(name=name, hotkey=hotkey, path=str(path.expanduser()))
    if not wallet.coldkeypub_file.exists_on_device():
        wallet.create_new_coldkey(use_password=False, suppress=True)
    if not wallet.hotkey_file.exists_on_device():
        wallet.create_new_hotkey(use_password=False, suppress=True)
    return wallet


def _request(endpoint: str, method: str, params: object) -> dict[str, Any]:
    with connect(endpoint, open_timeout=ANSWER_SECONDS) as connection:
        connection.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
        answer: dict[str, Any] = json.loads(connection.recv(timeout=ANSWER_SECONDS))
    return answer


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--wallet.name", dest="wallet_name", default="default", help="default %(default)s")
    add("--wallet.hotkey", dest="wallet_hotkey", default="default", help="default %(default)s")
    add(
        "--wallet.path",
        dest="wallet_path",
        type=Path,
        default=Path("var/wallets"),
        help="default %(default)s",
    )
    add(
        "--subtensor.chain_endpoint",
        dest="chain_endpoint",
        default="ws://127.0.0.1:9944",
        help="default %(default)s",
    )
    add("--netuid", type=int, default=231, help="default %(default)s")
    add("--stake", type=float, default=0.0, help="in TAO; a validator needs some (%(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
