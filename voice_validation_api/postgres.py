"""Which Postgres the service uses: the one that POSTGRES_URL names, or an embedded one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voice_validation_api.database import DatabaseUnavailableError, connect
from voice_validation_api.migrations import MigrationError, migrate
from voice_validation_api.postgres_place import PostgresServerError
from voice_validation_api.postgres_server import embedded_server
from voice_validation_api.schema_check import may_migrate, wait_for_schema

MIN_VERSION = 13
log = logging.getLogger(__name__)


class UnsuitableDatabaseError(Exception):
    """The database is there but cannot be used; the message says why."""


NO_USABLE_DATABASE = (
    DatabaseUnavailableError,
    UnsuitableDatabaseError,
    PostgresServerError,
    MigrationError,
    ValueError,
)
"""All that ``ensure_postgres`` raises; a program ends with the message of any of them."""


@contextmanager
def ensure_postgres(
    url: str | None, var_dir: Path, *, wait_seconds: float = 60.0, for_worker: bool = False
) -> Iterator[str]:
    """The connection string of a running Postgres with our schema, for as long as it is needed.

    With ``url`` unset, the embedded server below ``var_dir`` is started or joined. A server that
    does not answer is asked again, at growing intervals, for ``wait_seconds``. ``for_worker``
    accepts a role that may not migrate, and waits as long for the API to have done so.

    Raises what ``NO_USABLE_DATABASE`` lists, ValueError for a malformed ``url``.
    """
    if url is None:
        with embedded_server(var_dir) as dsn:
            migrate(dsn)
            yield dsn
    else:
        _wait_for(url, wait_seconds)
        if for_worker and not may_migrate(url):
            wait_for_schema(url, wait_seconds=wait_seconds)
        else:
            migrate(url)
        yield url


def _wait_for(url: str, wait_seconds: float) -> None:
    deadline, pause = time.monotonic() + wait_seconds, 0.5
    while True:
        try:
            return _check_server(url)
        except DatabaseUnavailableError as error:
            if time.monotonic() + pause > deadline:
                raise DatabaseUnavailableError(
                    f"{error}; gave up after {wait_seconds:.0f} s. Is POSTGRES_URL right and the "
                    "server up?"
                ) from error
            log.warning("%s; asking again in %.1f s", error, pause)
        time.sleep(pause)
        pause = min(2 * pause, 10.0)


def _check_server(url: str) -> None:
    connection = connect(url, application="setup")
    try:
        major = connection.server_version // 10_000
        encoding = connection.info.parameter_status("server_encoding")
    finally:
        connection.close()
    if major < MIN_VERSION:
        raise UnsuitableDatabaseError(
            f"POSTGRES_URL names a Postgres {major}; at least {MIN_VERSION} is needed"
        )
    if encoding != "UTF8":
        raise UnsuitableDatabaseError(
            f"the database of POSTGRES_URL has the encoding {encoding}; create one with UTF8"
        )
