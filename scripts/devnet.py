"""A rehearsal chain: the Bittensor SDK, unmodified, reads it and submits to it.

It keeps one subnet with its neurons, commitments and weights, makes a block a second, and forgets
nothing: every past block can still be read. Signatures, nonces, rate limits and quotas are those
of the real chain; emission, consensus and fees are left out. The clock can be moved, accounts be
funded and hotkeys registered with the methods dev_advance, dev_fund, dev_register, dev_replace,
dev_rule and dev_stake (see scripts/devnet_control.py). For tests and rehearsals on one machine:
whoever reaches its port may use them.

Sealed commitments and weights open here when a program seals them for this chain's own beacon: put
ROOT/sdk first on its PYTHONPATH (Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from devnet_beacon import write_sealing_sdk
from devnet_chain import Chain
from devnet_rpc import Rpc
from devnet_server import Server
from devnet_store import DevnetStore

from utilities.errors import SubnetError
from utilities.http_server import bind, url_of
from utilities.logs import configure_logging

MAX_PORT = 65_535
MAX_NETUID = 4_095
EXAMPLE = """\
example:
  python scripts/devnet.py --port 9944 --netuid 231 &
  export BT_CHAIN_ENDPOINT=ws://127.0.0.1:9944
  btcli --network local subnets metagraph 231
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted. Exit code 2: it cannot listen or keep its state there."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=_whole(MAX_PORT), default=9944, help="0 takes any free (%(default)s)"
    )
    parser.add_argument(
        "--root", type=Path, default=Path("var/devnet"), help="where all is kept (%(default)s)"
    )
    parser.add_argument(
        "--block_seconds", type=_seconds, default=1.0, help="time between blocks (%(default)s)"
    )
    parser.add_argument(
        "--manual",
        action="store_true",
        help="no blocks of its own: one for every extrinsic, and those of dev_advance",
    )
    parser.add_argument(
        "--netuid", type=_whole(MAX_NETUID), default=231, help="of a new chain (%(default)s)"
    )
    parser.add_argument(
        "--tempo", type=_whole(65_535), default=20, help="of a new chain, in blocks (%(default)s)"
    )
    args = parser.parse_args(argv)
    configure_logging("WARNING")
    try:
        bound = bind(args.host, args.port)
        store = DevnetStore(args.root)
        write_sealing_sdk(args.root / "sdk")
    except SubnetError as error:
        print(f"error: {error.message}\n{error.remedy}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: cannot write to {args.root}: {error}", file=sys.stderr)
        return 2
    chain = Chain(
        store,
        netuid=args.netuid,
        tempo=args.tempo,
        block_millis=round(args.block_seconds * 1_000),
        now_millis=lambda: time.time_ns() // 1_000_000,
        salt=os.urandom(32),
    )
    seconds = None if args.manual else args.block_seconds
    server = Server(chain, Rpc(chain, store), block_seconds=seconds)
    url = url_of(bound).replace("http://", "ws://")
    ready = f"rehearsal chain at {url}, kept in {args.root}"
    asyncio.run(server.run(bound, on_start=lambda: print(ready, flush=True)))
    store.close()
    return 0


def _whole(limit: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not 0 <= number <= limit:
            raise argparse.ArgumentTypeError(f"{number} is not a number from 0 to {limit}")
        return number

    return parse


def _seconds(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and 0.05 <= seconds <= 3_600):
        raise argparse.ArgumentTypeError(f"{text} is not a time from 0.05 to 3600 seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
