"""The database as backups see it: found without touching its schema, and described."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection  # noqa: N812  a class with a small name
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from voice_validation_api.postgres_server import embedded_server
from voice_validation_api.settings import ServiceSettings


@dataclass(frozen=True)
class DatabaseFacts:
    """What the database says of itself as of one snapshot, which others can join."""

    snapshot: str
    schema: int
    major: int
    role: str
    rows: dict[str, int]


@contextmanager
def database_as_it_is(settings: ServiceSettings) -> Iterator[str]:
    """The connection string of the service's database, not migrated: a backup made by a new
    release is of the old one's database, and a restore needs an empty one.

    Raises PostgresServerError.
    """
    if settings.postgres_url is not None:
        yield settings.postgres_url.get_secret_value()
        return
    with embedded_server(settings.var_dir) as dsn:
        yield dsn


def describe(connection: Connection) -> DatabaseFacts:
    """The facts, in a transaction that stays open for as long as the snapshot is needed.

    Raises psycopg2.Error, such as UndefinedTable for a database without our schema.
    """
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with connection.cursor() as cursor:
        # A dump takes as long as it takes.
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(
            "SELECT pg_export_snapshot(), current_user::text, max(version) FROM schema_migrations"
        )
        snapshot, role, schema = cursor.fetchone()
        major = connection.server_version // 10_000
        return DatabaseFacts(snapshot, schema, major, role, table_counts(cursor))


def table_counts(cursor: Cursor) -> dict[str, int]:
    """The number of rows of every table of ours."""
    cursor.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
    )
    counts = {}
    for (table,) in cursor.fetchall():
        # A name from the catalogue, of our own migrations.
        cursor.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608
        (counts[table],) = cursor.fetchone()
    return counts
