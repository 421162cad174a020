"""What tests of the service share besides fixtures."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn

from voice_validation_api.records import NewSubmission


def run_sql(dsn: str, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """Run one statement outside of a transaction; its rows, if it gives any."""
    connection = psycopg2.connect(dsn)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@contextmanager
def open_directory() -> Iterator[Path]:
    """A temporary directory that everyone can enter; pytest's own are closed to the server when
    another user runs it."""
    path = Path(tempfile.mkdtemp(prefix="speech-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def fresh_database(server: str, template: str) -> Iterator[str]:
    """The connection string of a new copy of ``template`` on ``server``; dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    # Six times as fast as through the log, where nothing is synchronised to a disk.
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield make_dsn(server, dbname=name)
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


def new_submission(block: int = 100, **changes: object) -> NewSubmission:
    """A submission as admission makes it; ``block`` and other fields to taste."""
    fields: dict[str, object] = {
        "competition_id": "tts",
        "hotkey": "5F3sa2TJAWMqDhXG6jhV4N8ko9SxwGy8TpaNS1repo5EYjQX",
        "block": block,
        "revision": "ab" * 20,
        "namespace": "alice",
        "name": "voice",
        "config_template": "default",
        "submission_hash": "18446744073709551615",
    }
    return NewSubmission(**{**fields, **changes})  # type: ignore[arg-type]


def wait_until(
    condition: Callable[[], bool], seconds: float = 20.0, *, pause: float = 0.01
) -> None:
    """Poll every ``pause`` seconds until ``condition`` holds; an assertion fails after
    ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "still not so after the deadline"
        time.sleep(pause)
