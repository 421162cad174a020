"""Whether the schema fits this release, asked by a worker whose role may not migrate."""

from __future__ import annotations

import time
from contextlib import closing

import psycopg2

from voice_validation_api.database import DatabaseUnavailableError, connect
from voice_validation_api.migrations import WORKER_ROLE, MigrationError, migrations
from voice_validation_api.statements import statements

_LOOK_SECONDS = 0.5


def may_migrate(dsn: str) -> bool:
    """Whether the role of ``dsn`` owns the schema, or may create it in a database without one.

    Raises DatabaseUnavailableError.
    """
    return bool(_ask(dsn, "may_migrate"))


def wait_for_schema(dsn: str, *, wait_seconds: float) -> None:
    """Return when the database has the schema of this release: the API migrates it.

    Raises MigrationError when it has a newer one, or the right one does not come, or may not be
    used, within ``wait_seconds``; DatabaseUnavailableError.
    """
    deadline, needed = time.monotonic() + wait_seconds, len(migrations())
    while (found := _version(dsn)) is None or found < needed:
        if time.monotonic() > deadline:
            raise MigrationError(_not_so(found, needed))
        time.sleep(_LOOK_SECONDS)
    if found > needed:
        raise MigrationError(
            f"the database has migration {found} and this release knows {needed}: upgrade the "
            "worker to the release of the API"
        )


def _not_so(found: int | None, needed: int) -> str:
    if found is None:
        return (
            f"the role of POSTGRES_URL is no member of {WORKER_ROLE}: make one with "
            "scripts/worker_role.py"
        )
    return (
        f"the database has migration {found} and this release needs {needed}: a worker's role may "
        "not migrate; start the API of this release, which does"
    )


def _version(dsn: str) -> int | None:
    """The newest migration; 0: there is no schema; None: this role may not ask, or not yet."""
    try:
        return int(_ask(dsn, "schema_version"))
    except (psycopg2.errors.InvalidSchemaName, psycopg2.errors.UndefinedFunction):
        return 0
    except psycopg2.errors.InsufficientPrivilege:
        return None


def _ask(dsn: str, name: str) -> int | bool:
    with closing(connect(dsn, application="setup")) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(statements()[name])
        except psycopg2.OperationalError as error:
            raise DatabaseUnavailableError(f"Postgres: {error}".strip()) from error
        row = cursor.fetchone()
    assert row is not None
    answer: int | bool = row[0]
    return answer
