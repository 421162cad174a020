"""Connections to Postgres: a pool, transactions, and rows parsed into records.

``Database`` survives a server that goes away and comes back: dead connections are dropped, a read
is tried once more, and everything else says ``DatabaseUnavailableError``.
"""

from __future__ import annotations

import math
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cache
from threading import BoundedSemaphore
from typing import Any, TypeVar

import psycopg2
from psycopg2.extras import Json, RealDictCursor, execute_values
from psycopg2.pool import ThreadedConnectionPool
from pydantic import TypeAdapter

from voice_validation_api.statements import statements

STATEMENT_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 5
POOL_WAIT_S = 30.0

R = TypeVar("R")
Params = Mapping[str, Any]


class DatabaseUnavailableError(Exception):
    """Postgres cannot be reached or cannot answer now. Try again later."""


class RefusedByDatabaseError(ValueError):
    """A value breaks a rule of the schema: too long, out of range, or an illegal transition."""


def connect(dsn: str, *, application: str) -> psycopg2.extensions.connection:
    """A connection with the limits that all of ours have.

    Raises DatabaseUnavailableError, and ValueError for a malformed ``dsn``.
    """
    with _connecting():
        return psycopg2.connect(dsn, **_options(application))


@contextmanager
def _connecting() -> Iterator[None]:
    try:
        yield
    except psycopg2.ProgrammingError:
        # Its message quotes the connection string, which may hold a password.
        raise ValueError("the connection string of Postgres is malformed") from None
    except psycopg2.OperationalError as error:
        raise DatabaseUnavailableError(f"cannot connect to Postgres: {error}".strip()) from error


def _options(application: str) -> dict[str, Any]:
    return {
        "application_name": application,
        "connect_timeout": CONNECT_TIMEOUT_S,
        # A worker machine that vanishes must not hold its row locks until TCP gives up.
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
        " -c idle_in_transaction_session_timeout=60000",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }


@cache
def _adapter(record: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(record)


class Transaction:
    """Named statements inside one transaction."""

    def __init__(self, cursor: RealDictCursor) -> None:
        self._cursor = cursor

    def fetch(self, record: type[R], name: str, params: Params) -> tuple[R, ...]:
        """The rows of statement ``name`` as records."""
        self._run(name, params)
        # A class is hashable, whatever mypy thinks of type[R].
        parse = _adapter(record).validate_python  # type: ignore[arg-type]
        return tuple(parse(dict(row)) for row in self._cursor.fetchall())

    def fetch_one(self, record: type[R], name: str, params: Params) -> R | None:
        """The first row of statement ``name``, if any."""
        rows = self.fetch(record, name, params)
        return rows[0] if rows else None

    def execute(self, name: str, params: Params) -> int:
        """Run statement ``name``; the number of rows that it touched."""
        self._run(name, params)
        return int(self._cursor.rowcount)

    def insert_many(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a ``VALUES %s`` statement for many rows."""
        values = [[_adapted(value) for value in row] for row in rows]
        execute_values(self._cursor, statements()[name], values, page_size=500)

    def _run(self, name: str, params: Params) -> None:
        values = {key: _adapted(value) for key, value in params.items()}
        self._cursor.execute(statements()[name], values)


class Database:
    """A pool of ``size`` connections to one database, shared by the threads of a program."""

    def __init__(self, dsn: str, *, size: int, application: str) -> None:
        """Connect. Raises DatabaseUnavailableError, and ValueError for a malformed ``dsn``."""
        self._slots = BoundedSemaphore(size)
        with _connecting():
            self._pool = ThreadedConnectionPool(size, size, dsn, **_options(application))

    def close(self) -> None:
        """Close every connection."""
        self._pool.closeall()

    def fetch(self, record: type[R], name: str, params: Params) -> tuple[R, ...]:
        """Rows of a reading or otherwise repeatable statement; tried twice.

        Raises DatabaseUnavailableError.
        """
        try:
            return self._fetch(record, name, params)
        except DatabaseUnavailableError:
            return self._fetch(record, name, params)

    def fetch_one(self, record: type[R], name: str, params: Params) -> R | None:
        """The first row, if any; otherwise like ``fetch``."""
        rows = self.fetch(record, name, params)
        return rows[0] if rows else None

    def fetch_one_once(self, record: type[R], name: str, params: Params) -> R | None:
        """The first row, if any, of a statement that must not be repeated by itself.

        Raises DatabaseUnavailableError; nobody can tell then whether the statement was carried out.
        """
        rows = self._fetch(record, name, params)
        return rows[0] if rows else None

    def _fetch(self, record: type[R], name: str, params: Params) -> tuple[R, ...]:
        with self._session(autocommit=True) as session:
            return session.fetch(record, name, params)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing: commits at the end, rolls back on any exception.

        Raises DatabaseUnavailableError. When it comes from the commit, nobody can tell whether
        the commit took place: the caller asks again.
        """
        with self._session(autocommit=False) as session:
            yield session

    @contextmanager
    def _session(self, *, autocommit: bool) -> Iterator[Transaction]:
        connection = self._checkout()
        try:
            try:
                connection.autocommit = autocommit
                with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                    yield Transaction(cursor)
                if not autocommit:
                    connection.commit()
            except BaseException:
                if not connection.closed:
                    connection.rollback()
                raise
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise DatabaseUnavailableError(f"Postgres: {error}".strip()) from error
        except (psycopg2.DataError, psycopg2.IntegrityError) as error:
            raise RefusedByDatabaseError(str(error).strip()) from error
        finally:
            self._checkin(connection)

    def _checkout(self) -> psycopg2.extensions.connection:
        if not self._slots.acquire(timeout=POOL_WAIT_S):
            raise DatabaseUnavailableError(f"no free connection within {POOL_WAIT_S:.0f} s")
        try:
            with _connecting():
                connection = self._pool.getconn()
                # After a restart of the server every pooled connection is dead: drop them all.
                while connection.closed or _has_unread_data(connection):
                    self._pool.putconn(connection, close=True)
                    connection = self._pool.getconn()
        except BaseException:
            self._slots.release()
            raise
        return connection

    def _checkin(self, connection: psycopg2.extensions.connection) -> None:
        try:
            self._pool.putconn(connection)
        finally:
            self._slots.release()


def _has_unread_data(connection: psycopg2.extensions.connection) -> bool:
    # An idle connection has nothing to read, except the end of its server.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _adapted(value: Any) -> Any:
    return Json(_storable(value)) if isinstance(value, dict) else _storable(value)


def _storable(value: Any) -> Any:
    """What Postgres can store of text and JSON that strangers sent.

    It knows no NUL character, no half of a surrogate pair, and no JSON number that is not finite.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_storable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    return value
