"""Brings a database to the schema of ``sql/migrations``.

Migrations are numbered without gaps, applied in order, each in a transaction of its own, and
recorded with a checksum: an applied migration never changes. Programs that start at the same time
wait for each other on an advisory lock. Only the schema's owner migrates; a worker with a role of
its own checks instead (``schema_check.py``).
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from importlib.resources import files

import psycopg2

from voice_validation_api.database import DatabaseUnavailableError, connect
from voice_validation_api.statements import statements

_LOCK_KEY = 0x5350_4545_4348  # any constant that nothing else in the database uses
_HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
WORKER_ROLE = "speech_worker"
"""The group role of the workers, which may call the functions of ``worker_api``."""
log = logging.getLogger(__name__)


class MigrationError(Exception):
    """The database and this release do not fit together."""


@dataclass(frozen=True)
class Migration:
    """One file of ``sql/migrations``."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the file, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """All migrations of this release in order. Raises MigrationError for a gap in the numbers."""
    folder = files(__package__).joinpath("sql", "migrations")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    found = tuple(
        Migration(int(name[:4]), name, folder.joinpath(name).read_text(encoding="utf-8"))
        for name in names
    )
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"migrations are not numbered 1 to {len(found)}: {names}")
    return found


def migrate(dsn: str) -> tuple[Migration, ...]:
    """Apply what is missing and return it.

    Raises MigrationError when the database was migrated by a newer release, holds an altered
    migration or belongs to another role, and DatabaseUnavailableError.
    """
    connection = connect(dsn, application="migrations")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # Waiting for another program's migration, or a long one, is no fault.
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SELECT pg_advisory_lock(%s)", (_LOCK_KEY,))
            cursor.execute(_HISTORY)
            cursor.execute("SELECT version, sha256 FROM schema_migrations")
            missing = _missing(dict(cursor.fetchall()))
        connection.autocommit = False
        for migration in missing:
            with connection, connection.cursor() as cursor:
                cursor.execute(migration.sql)
                cursor.execute(
                    "INSERT INTO schema_migrations (version, name, sha256) VALUES (%s, %s, %s)",
                    (migration.version, migration.name, migration.sha256),
                )
        with connection, connection.cursor() as cursor:
            _grant_access(cursor)
    except psycopg2.errors.InsufficientPrivilege as error:
        raise MigrationError(
            f"the role {connection.info.user} may not change the schema: {str(error).strip()}. "
            "Connect as the role that owns the tables and may create schemas in the database"
        ) from error
    except psycopg2.OperationalError as error:
        raise DatabaseUnavailableError(f"Postgres: {error}".strip()) from error
    finally:
        # Ends the session, and with it the advisory lock.
        connection.close()
    return missing


def _grant_access(cursor: psycopg2.extensions.cursor) -> None:
    cursor.execute(statements()["grant_worker_access"])
    cursor.execute("SELECT to_regrole(%s)", (WORKER_ROLE,))
    if cursor.fetchone() == (None,):
        log.warning(
            "this role may not create roles, so no worker can have one of its own: have an "
            "administrator of the server run CREATE ROLE %s NOLOGIN, then start this program again",
            WORKER_ROLE,
        )


def _missing(applied: dict[int, str]) -> tuple[Migration, ...]:
    known = migrations()
    if newer := sorted(applied.keys() - {m.version for m in known}):
        raise MigrationError(
            f"the database has migrations {newer} that this release does not know: it was used by "
            "a newer release; run that one, or restore a backup"
        )
    for migration in known:
        if applied.get(migration.version, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"{migration.name} differs from what was applied to the database: restore the "
                "file; a changed schema needs a new migration"
            )
    return tuple(m for m in known if m.version not in applied)
