"""How the API and the workers come by their database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from voice_validation_api.database import Database
from voice_validation_api.postgres import ensure_postgres
from voice_validation_api.postgres_keeper import kept_alive
from voice_validation_api.settings import ServiceSettings
from voice_validation_api.store import Store


@dataclass(frozen=True)
class DatabaseAccess:
    """A pool, and the connection string for what needs a connection of its own."""

    dsn: str
    pool: Database


@contextmanager
def open_database(
    settings: ServiceSettings, *, size: int, application: str, for_worker: bool = False
) -> Iterator[DatabaseAccess]:
    """The database that ``settings`` name, with our schema and a pool of ``size`` connections.

    The embedded server is started or joined where no other is named, and brought back when it dies;
    the watch over it takes one of the connections now and then. ``for_worker`` accepts a role that
    may do a worker's part only.

    Raises what ``postgres.NO_USABLE_DATABASE`` lists.
    """
    url = settings.postgres_url
    with ExitStack() as resources:
        dsn = resources.enter_context(
            ensure_postgres(
                url.get_secret_value() if url else None,
                settings.var_dir,
                wait_seconds=settings.postgres_wait_seconds,
                for_worker=for_worker,
            )
        )
        pool = Database(dsn, size=size, application=application)
        resources.enter_context(closing(pool))
        if url is None:
            resources.enter_context(kept_alive(settings.var_dir, Store(pool).ping))
        yield DatabaseAccess(dsn, pool)
