"""Locks between threads and processes of one machine. The kernel drops those of a dead process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.1


@contextmanager
def locked(
    path: Path, *, shared: bool = False, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold a lock on the file ``path``, which appears if need be, until the block ends.

    ``waiting`` is called while others hold it; what it raises ends the wait. Raises OSError.
    """
    while (file := _try_lock(path, shared=shared)) is None:
        waiting()
        time.sleep(POLL_SECONDS)
    with closing(file):
        yield


@contextmanager
def locked_now(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock if nobody else holds any; whether it is held. Raises OSError."""
    file = _try_lock(path, shared=False)
    if file is None:
        yield False
        return
    with closing(file):
        yield True


def _try_lock(path: Path, *, shared: bool) -> IO[bytes] | None:
    file = path.open("ab")
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    if _is_the_same(path, file):
        return file
    # Whoever held it before removed the file: this lock would exclude nobody.
    file.close()
    return None


def _is_the_same(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
