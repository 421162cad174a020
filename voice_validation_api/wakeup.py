"""How a worker waits: until a submission is queued, a time has passed, or it is told to stop."""

from __future__ import annotations

import os
import select
from datetime import timedelta

import psycopg2

from voice_validation_api.database import DatabaseUnavailableError, connect

CHANNEL = "submission_queued"


class Stop:
    """A flag that threads can poll, wait for, and select on beside a socket.

    It takes no lock, so that a signal handler can set it whatever the interrupted thread holds.
    """

    def __init__(self) -> None:
        self._set = False
        self._read_end, self._write_end = os.pipe()

    def set(self) -> None:
        """Stop for good."""
        if not self._set:
            self._set = True
            os.write(self._write_end, b"x")

    def is_set(self) -> bool:
        """Whether ``set`` was called."""
        return self._set

    def wait(self, seconds: float) -> bool:
        """Wait for ``set``, at most ``seconds``; whether it was called."""
        poll = select.poll()
        poll.register(self._read_end, select.POLLIN)
        return bool(poll.poll(seconds * 1_000))

    def fileno(self) -> int:
        """Readable once ``set`` was called."""
        return self._read_end


class Wakeup:
    """Listens for queued submissions on a connection of its own.

    Without the database it waits out the time: polling is what the worker can always fall back on.
    """

    def __init__(self, dsn: str, stop: Stop) -> None:
        self._dsn = dsn
        self._stop = stop
        self._connection: psycopg2.extensions.connection | None = None

    def listen(self) -> None:
        """Start listening. Submissions queued from now on end the next ``wait`` at once.

        Raises DatabaseUnavailableError.
        """
        if self._connection is not None:
            return
        connection = connect(self._dsn, application="worker-wakeup")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
        except psycopg2.Error as error:
            connection.close()
            raise DatabaseUnavailableError(f"Postgres: {error}".strip()) from error
        self._connection = connection

    def wait(self, timeout: timedelta) -> bool:
        """True when something was queued since the last call, False after ``timeout`` or a stop."""
        poll = select.poll()
        poll.register(self._stop.fileno(), select.POLLIN)
        if self._connection is not None:
            poll.register(self._connection.fileno(), select.POLLIN)
        ready = {fd for fd, _ in poll.poll(timeout.total_seconds() * 1_000)}
        return bool(ready - {self._stop.fileno()}) and self._received()

    def close(self) -> None:
        """Stop listening."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _received(self) -> bool:
        assert self._connection is not None
        try:
            self._connection.poll()
        except psycopg2.Error:
            self.close()
            return False
        heard = bool(self._connection.notifies)
        self._connection.notifies.clear()
        return heard
