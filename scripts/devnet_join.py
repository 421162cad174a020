"""Join a rehearsal chain: make a wallet if there is none, and register its hotkey without cost.

The keys have no password and are for rehearsals only. Exit codes: 0 registered; 1 the chain refuses
it; 2 no rehearsal chain answers there, or the wallet cannot be opened.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bittensor.keyfiles import KeyfileError
from devnet_client import DevnetUnreachableError, open_or_make_wallet, register

from utilities.errors import SubnetError

EXAMPLE = """\
example:
  python scripts/devnet_join.py --wallet.name miner --wallet.path var/wallets
  python scripts/devnet_join.py --wallet.name validator --wallet.path var/wallets --stake 100
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Register one hotkey; returns the exit code."""
    args = _parse(argv)
    try:
        wallet = open_or_make_wallet(args.wallet_name, args.wallet_hotkey, args.wallet_path)
        block = register(args.chain_endpoint, wallet, netuid=args.netuid, stake=args.stake)
    except SubnetError as error:
        print(f"error: {error.message}\n{error.remedy}", file=sys.stderr)
        return 2 if isinstance(error, DevnetUnreachableError) else 1
    except (KeyfileError, ValueError, OSError) as error:
        print(f"error: the wallet {args.wallet_name}: {error}", file=sys.stderr)
        return 2
    print(f"{wallet.hotkey.ss58_address} is registered on subnet {args.netuid}, block {block}")
    return 0


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
