"""Directories in which evaluations work, and the removal of those that a killed worker left."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from voice_validation_api.file_locks import locked, locked_now

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
    with ExitStack() as held:
        # One at a time, so that nobody removes a directory that is not locked yet.
        with locked(root / "lock"):
            _remove_abandoned(root)
            own = root / secrets.token_hex(8)
            own.mkdir()
            held.enter_context(locked(own / "lock"))
        try:
            yield Workspaces(own.resolve())
        finally:
            shutil.rmtree(own, ignore_errors=True)


def _remove_abandoned(root: Path) -> None:
    for lock in root.glob("*/lock"):
        with locked_now(lock) as is_abandoned:
            if is_abandoned:
                log.info("removing %s, which a killed worker left", lock.parent)
                shutil.rmtree(lock.parent, ignore_errors=True)
