"""Directories in which evaluations work, and the removal of those that a killed worker left."""

from __future__ import annotations

import fcntl
import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)


class Workspaces:
    """Fresh directories below the one of this worker."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """An empty directory, gone at the end of the block. Raises OSError."""
        path = Path(tempfile.mkdtemp(dir=self._root))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def worker_workspaces(root: Path) -> Iterator[Workspaces]:
    """This worker's directory below ``root``, gone at the end of the block.

    A worker holds a lock on its directory, which the kernel drops when the worker dies: what
    nobody holds is removed first. Raises OSError.
    """
    root.mkdir(parents=True, exist_ok=True)
    # One at a time, so that nobody removes a directory that is not locked yet.
    with (root / "lock").open("w") as sweep:
        fcntl.flock(sweep, fcntl.LOCK_EX)
        _remove_abandoned(root)
        own = root / secrets.token_hex(8)
        own.mkdir()
        lock = (own / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield Workspaces(own.resolve())
        finally:
            shutil.rmtree(own, ignore_errors=True)


def _remove_abandoned(root: Path) -> None:
    for lock in root.glob("*/lock"):
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            log.info("removing %s, which a killed worker left", lock.parent)
            shutil.rmtree(lock.parent, ignore_errors=True)
