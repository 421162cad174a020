"""Looks after submissions that no worker will look at by itself.

    python scripts/requeue.py                           lists what is parked
    python scripts/requeue.py --failed                  lists what failed
    python scripts/requeue.py --id 12 --id 13           returns these to the queue
    python scripts/requeue.py --code HUB_UNREACHABLE    returns those parked with this code
    python scripts/requeue.py --all                     returns everything that is parked
    python scripts/requeue.py --overturn 17 --reason "the hub served half a file"
    python scripts/requeue.py --trail                   lists who did what, and why

Parked submissions go behind all others and get all their retries again. ``--overturn`` evaluates
one FAILED submission again that was wrongly blamed. Every deed is on record. ``--dry-run`` says
what would be done. POSTGRES_URL must name the owner of the database, not a worker's role.
Exit codes: 0 done, 1 something that was asked for could not be done, 2 wrong usage, 3 no usable
database.
"""

from __future__ import annotations

import argparse
import getpass
import socket
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

from rich.console import Console

from utilities.logs import configure_logging
from utilities.redaction import secrets_of
from utilities.tables import listing
from voice_validation_api.database_access import open_database
from voice_validation_api.operator_actions import Choice, OperatorActions, SetAside
from voice_validation_api.postgres import NO_USABLE_DATABASE
from voice_validation_api.settings import ServiceSettings

EXIT_NOT_DONE, EXIT_DATABASE = 1, 3
DETAIL_CHARS = 200


def main(argv: Sequence[str] | None = None) -> int:
    """List, requeue or overturn; returns the exit code."""
    options = _options(argv)
    settings = ServiceSettings()
    configure_logging("WARNING", secrets=secrets_of(settings))
    try:
        with open_database(settings, size=2, application="requeue") as access:
            return _run(options, OperatorActions(access.pool), Console())
    except NO_USABLE_DATABASE as error:
        sys.stderr.write(f"no usable database (POSTGRES_URL says which one): {error}\n")
        return EXIT_DATABASE


def _run(options: argparse.Namespace, actions: OperatorActions, console: Console) -> int:
    if options.trail:
        _show_trail(actions, console)
        return 0
    if options.overturn is not None:
        return _overturn(options, actions, console)
    choice = Choice(ids=options.id, codes=options.code)
    if options.failed:
        _show("Failed", actions.failed(choice), console)
        return 0
    if options.id is None and options.code is None and not options.all:
        _show("Parked", actions.parked(choice), console)
        return 0
    return _requeue(options, choice, actions, console)


def _requeue(
    options: argparse.Namespace, choice: Choice, actions: OperatorActions, console: Console
) -> int:
    if options.dry_run:
        rows = actions.parked(choice)
        _show("Would be returned to the queue", rows, console)
        done = {row.id for row in rows}
    else:
        done = set(actions.requeue(choice, operator=options.operator, reason=options.reason))
        console.print(f"returned to the queue: {len(done)}")
    left = sorted(set(options.id or ()) - done)
    for submission in left:
        console.print(f"submission {submission}: not parked (or not with this code)")
    return EXIT_NOT_DONE if left else 0


def _overturn(options: argparse.Namespace, actions: OperatorActions, console: Console) -> int:
    submission = options.overturn
    if options.dry_run:
        rows = actions.failed(Choice(ids=[submission]))
        _show("Would be evaluated again", rows, console)
        return 0 if rows else EXIT_NOT_DONE
    if actions.overturn(submission, operator=options.operator, reason=options.reason):
        console.print(f"submission {submission} is in the queue again")
        return 0
    console.print(
        f"submission {submission} is not FAILED, or was refused before its revision was pinned: "
        "then ask the API for it again"
    )
    return EXIT_NOT_DONE


def _show(title: str, rows: Sequence[SetAside], console: Console) -> None:
    headings = ("id", "repository", "block", "code", "attempts", "since (UTC)", "what happened")
    console.print(
        listing(
            f"{title}: {len(rows)}",
            headings,
            [
                (
                    str(row.id),
                    f"{row.namespace}/{row.name}@{row.revision[:8]}",
                    str(row.block),
                    row.failure_code or "-",
                    str(row.attempts),
                    _told(row.updated_at),
                    (row.detail or row.failure_message or "-")[:DETAIL_CHARS],
                )
                for row in rows
            ],
        )
    )


def _show_trail(actions: OperatorActions, console: Console) -> None:
    headings = ("when (UTC)", "who", "role", "did", "submission", "code", "why")
    console.print(
        listing(
            "Operators' deeds",
            headings,
            [
                (
                    _told(deed.acted_at),
                    deed.operator,
                    deed.role,
                    deed.action,
                    str(deed.submission_id),
                    deed.failure_code or "-",
                    deed.reason,
                )
                for deed in actions.trail()
            ],
        )
    )


def _told(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M}"


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--id", type=int, action="append", help="a submission; may be repeated")
    parser.add_argument("--code", action="append", help="a failure code; may be repeated")
    parser.add_argument("--all", action="store_true", help="everything that is parked")
    parser.add_argument("--failed", action="store_true", help="list what failed")
    parser.add_argument("--overturn", type=int, metavar="ID", help="evaluate a FAILED one again")
    parser.add_argument("--trail", action="store_true", help="list what operators did")
    parser.add_argument("--reason", help="why; --overturn needs it")
    parser.add_argument(
        "--operator", default=f"{getpass.getuser()}@{socket.gethostname()}"[:128], help="who"
    )
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    options = parser.parse_args(argv)
    if options.overturn is not None and not options.reason:
        parser.error("--overturn needs --reason")
    if options.overturn is not None and (options.id or options.code or options.all):
        parser.error("--overturn stands alone: --id, --code and --all choose parked submissions")
    options.reason = options.reason or "returned to the queue"
    return options


if __name__ == "__main__":
    sys.exit(main())
