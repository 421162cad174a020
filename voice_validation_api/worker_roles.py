"""Login roles for workers: each may call the functions of ``worker_api`` and nothing else.

A machine gets a role of its own, so that one stolen password can be taken away alone, and so that
it settles no claim of another machine's.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import encrypt_password, make_dsn
from psycopg2.sql import SQL, Composable, Identifier, Literal

from voice_validation_api.database import DatabaseUnavailableError, connect
from voice_validation_api.migrations import WORKER_ROLE
from voice_validation_api.statements import statements

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
log = logging.getLogger(__name__)


class WorkerRoleError(Exception):
    """A role cannot be made, changed or dropped; the message says what to do."""


@dataclass(frozen=True)
class WorkerRole:
    """A login role of a worker, and how many sessions it has now."""

    name: str
    sessions: int


class WorkerRoles:
    """The roles of one server, managed by a role that may create roles.

    ``dsn`` names the service's database as its owner. Every method raises WorkerRoleError and
    DatabaseUnavailableError.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def create(self, name: str, *, connections: int) -> str:
        """Make a role that may have ``connections`` sessions; its connection string."""
        if _NAME.fullmatch(name) is None:
            raise WorkerRoleError(
                f"{name!r} cannot be a role: use at most 63 of a-z, 0-9 and _, a letter first"
            )
        with self._session() as cursor:
            self._close_loopholes(cursor)
            password, secret = _new_password(cursor, name)
            try:
                cursor.execute(
                    SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {} PASSWORD {} IN ROLE {}").format(
                        Identifier(name),
                        Literal(connections),
                        Literal(secret),
                        Identifier(WORKER_ROLE),
                    )
                )
            except psycopg2.errors.DuplicateObject as error:
                raise WorkerRoleError(f"the role {name} exists: rotate or drop it") from error
            _execute_on_database(cursor, SQL("GRANT CONNECT ON DATABASE {} TO {}"), name)
        return self._dsn_of(name, password)

    def rotate(self, name: str) -> str:
        """Give a role a new password and end its sessions; its new connection string."""
        with self._session() as cursor:
            _require_worker(cursor, name)
            password, secret = _new_password(cursor, name)
            cursor.execute(
                SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(name), Literal(secret))
            )
            _end_sessions(cursor, name)
        return self._dsn_of(name, password)

    def drop(self, name: str) -> None:
        """Shut a role out, end its sessions, and remove it.

        What it held is claimed again when its leases have run out.
        """
        with self._session() as cursor:
            _require_worker(cursor, name)
            cursor.execute(SQL("ALTER ROLE {} NOLOGIN").format(Identifier(name)))
            _end_sessions(cursor, name)
            _execute_on_database(cursor, SQL("REVOKE ALL ON DATABASE {} FROM {}"), name)
            try:
                cursor.execute(SQL("DROP ROLE {}").format(Identifier(name)))
            except psycopg2.errors.DependentObjectsStillExist as error:
                raise WorkerRoleError(
                    f"{name} can log in no more, but has rights elsewhere; take them back and drop "
                    f"it again: {error.diag.message_detail}"
                ) from error

    def all(self) -> tuple[WorkerRole, ...]:
        """The roles that there are, by name."""
        with self._session() as cursor:
            cursor.execute(statements()["worker_roles"], {"group": WORKER_ROLE})
            return tuple(WorkerRole(*row) for row in cursor.fetchall())

    @contextmanager
    def _session(self) -> Iterator[psycopg2.extensions.cursor]:
        connection = connect(self._dsn, application="worker-roles")
        try:
            # To shut a role out must be kept, whatever fails after it.
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
        except psycopg2.errors.InsufficientPrivilege as error:
            raise WorkerRoleError(
                f"the role {connection.info.user} may not do this: {str(error).strip()}. Connect "
                f"as the database's owner with CREATEROLE, and with ADMIN OPTION on {WORKER_ROLE}"
            ) from error
        except psycopg2.errors.InvalidSchemaName as error:
            raise WorkerRoleError(
                "the database has no schema of this release yet: start the API once"
            ) from error
        except psycopg2.OperationalError as error:
            raise DatabaseUnavailableError(f"Postgres: {error}".strip()) from error
        finally:
            connection.close()

    def _close_loopholes(self, cursor: psycopg2.extensions.cursor) -> None:
        """What everyone may do by default would let a worker fill the disk or slip objects in."""
        cursor.execute(statements()["grant_worker_access"])
        _execute_on_database(cursor, SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC"))
        cursor.execute(statements()["worker_loopholes"], {"group": WORKER_ROLE})
        for (loophole,) in cursor.fetchall():
            log.warning("workers can do more than they need; have a superuser run: %s", loophole)

    def _dsn_of(self, name: str, password: str) -> str:
        return str(make_dsn(self._dsn, user=name, password=password))


def _new_password(cursor: psycopg2.extensions.cursor, name: str) -> tuple[str, str]:
    """A password, and the form of it that the server stores: a log of statements shows no more."""
    password = secrets.token_urlsafe(32)
    return password, encrypt_password(password, name, cursor.connection, "scram-sha-256")


def _require_worker(cursor: psycopg2.extensions.cursor, name: str) -> None:
    cursor.execute(statements()["worker_roles"], {"group": WORKER_ROLE})
    if name not in {row[0] for row in cursor.fetchall()}:
        raise WorkerRoleError(f"there is no worker's role {name}")


def _end_sessions(cursor: psycopg2.extensions.cursor, name: str) -> None:
    try:
        cursor.execute(statements()["end_sessions"], {"name": name})
    except psycopg2.errors.InsufficientPrivilege:
        log.warning(
            "the sessions of %s may go on: have a superuser run SELECT pg_terminate_backend(pid) "
            "FROM pg_stat_activity WHERE usename = '%s'",
            name,
            name,
        )


def _execute_on_database(
    cursor: psycopg2.extensions.cursor, statement: SQL, name: str | None = None
) -> None:
    parts: list[Composable] = [Identifier(cursor.connection.info.dbname)]
    parts += [Identifier(name)] if name else []
    cursor.execute(statement.format(*parts))
