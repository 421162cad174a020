"""A rehearsal model hub: huggingface_hub, unmodified, uploads to it and downloads from it.

Point any program at it with two variables. A token `hf_NAME` belongs to the user NAME, who may
write below NAME/; public repositories are read without one. Repositories can be private and gated
as on the real hub, old revisions stay readable until the history is squashed, and everything is
kept on disk. For tests and rehearsals on one machine: there are no passwords.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from devhub_app import create_app
from devhub_store import DevHubStore

from utilities.errors import SubnetError
from utilities.http_server import bind, serve, url_of
from utilities.logs import configure_logging

MAX_PORT = 65_535
EXAMPLE = """\
example:
  python scripts/devhub.py --port 8900 &
  export HF_ENDPOINT=http://127.0.0.1:8900 HF_HUB_DISABLE_XET=1 HF_TOKEN=hf_alice
  hf upload alice/my-finetune ./my-finetune
  hf download alice/my-finetune config.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted. Exit code 2: it cannot listen or keep its state there."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=8900, help="0 takes any free (%(default)s)")
    parser.add_argument(
        "--root", type=Path, default=Path("var/devhub"), help="where all is kept (%(default)s)"
    )
    args = parser.parse_args(argv)
    configure_logging("WARNING")
    try:
        bound = bind(args.host, args.port)
        store = DevHubStore(args.root)
    except SubnetError as error:
        print(f"error: {error.message}\n{error.remedy}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: cannot write to {args.root}: {error}", file=sys.stderr)
        return 2
    ready = f"rehearsal hub at {url_of(bound)}, kept in {args.root}"
    serve(create_app(store, now=_now, on_start=lambda: print(ready, flush=True)), bound)
    return 0


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"{port} is not a port from 0 to {MAX_PORT}")
    return port


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


if __name__ == "__main__":
    sys.exit(main())
