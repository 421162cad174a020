"""Makes, rotates and drops the Postgres roles that workers log in with.

    python scripts/worker_role.py create worker_a    prints the POSTGRES_URL for that worker
    python scripts/worker_role.py rotate worker_a    a new password; its sessions end
    python scripts/worker_role.py drop worker_a      shuts it out and removes it
    python scripts/worker_role.py list

A worker's role can claim, beat and record, and see nothing else. POSTGRES_URL must name the
database as its owner. To change a worker's password without losing its work: create a second
role, stop the worker with SIGTERM, start it with the new role, drop the first.
Exit codes: 0 done, 1 not done, 2 wrong usage, 3 no usable database.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from utilities.logs import configure_logging
from voice_validation_api.database import DatabaseUnavailableError
from voice_validation_api.settings import ServiceSettings
from voice_validation_api.worker_roles import WorkerRoleError, WorkerRoles

EXIT_NOT_DONE, EXIT_USAGE, EXIT_DATABASE = 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Do one thing to the roles; returns the exit code."""
    options = _options(argv)
    configure_logging("WARNING")
    url = ServiceSettings().postgres_url
    if url is None:
        sys.stderr.write(
            "POSTGRES_URL is unset: the embedded Postgres is for the programs of one machine, "
            "which need no roles\n"
        )
        return EXIT_USAGE
    try:
        _run(options, WorkerRoles(url.get_secret_value()))
    except WorkerRoleError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_NOT_DONE
    except (DatabaseUnavailableError, ValueError) as error:
        sys.stderr.write(f"no usable database (POSTGRES_URL says which one): {error}\n")
        return EXIT_DATABASE
    return 0


def _run(options: argparse.Namespace, roles: WorkerRoles) -> None:
    if options.action == "create":
        _tell(roles.create(options.name, connections=options.connections))
    elif options.action == "rotate":
        _tell(roles.rotate(options.name))
    elif options.action == "drop":
        roles.drop(options.name)
    else:
        for role in roles.all():
            print(f"{role.name}\t{role.sessions} sessions")


def _tell(dsn: str) -> None:
    print(f'POSTGRES_URL="{dsn}"')
    sys.stderr.write("This is shown once. Put the host in that the worker's machine knows.\n")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True)
    for action, purpose in (
        ("create", "make a role"),
        ("rotate", "give it a new password"),
        ("drop", "remove it"),
    ):
        one = actions.add_parser(action, help=purpose)
        one.add_argument("name")
        if action == "create":
            one.add_argument(
                "--connections",
                type=int,
                default=64,
                help="sessions at the same time: three per queue and one more",
            )
    actions.add_parser("list", help="the roles that there are")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
