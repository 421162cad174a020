"""Brings the embedded Postgres back when it dies under a running program."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from voice_validation_api.database import DatabaseUnavailableError
from voice_validation_api.postgres_place import PostgresServerError
from voice_validation_api.postgres_server import embedded_server

CHECK_SECONDS = 2.0

log = logging.getLogger(__name__)


@contextmanager
def kept_alive(var_dir: Path, ping: Callable[[], None]) -> Iterator[None]:
    """Watch the server below ``var_dir`` in a thread, by ``ping``, until the block ends.

    ``ping`` raises DatabaseUnavailableError when the server does not answer.
    """
    stop = threading.Event()
    thread = threading.Thread(
        target=_watch, args=(var_dir, ping, stop), name="postgres-keeper", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(var_dir: Path, ping: Callable[[], None], stop: threading.Event) -> None:
    while not stop.wait(CHECK_SECONDS):
        _check(var_dir, ping)


def _check(var_dir: Path, ping: Callable[[], None]) -> None:
    try:
        ping()
    except DatabaseUnavailableError as error:
        log.warning("the embedded Postgres is gone: %s", error)
        _bring_back(var_dir)


def _bring_back(var_dir: Path) -> None:
    try:
        # The program holds the server already, so leaving at once does not stop it.
        with embedded_server(var_dir):
            log.info("the embedded Postgres answers again")
    except PostgresServerError as error:
        log.critical("the embedded Postgres does not start, trying again: %s", error)
