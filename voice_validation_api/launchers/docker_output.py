"""Copies what an evaluator wrote out of its container, as a stranger's.

The engine sends a tar archive of the output directory. Of it come files and directories with their
content; whatever else the evaluator made (links, pipes) comes as an empty directory, which the
intake refuses under its name and which leads nowhere.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final, cast

MAX_DEPTH: Final = 8
_COPY_BYTES: Final = 1 << 20


class OutputTooLargeError(Exception):
    """More bytes, files or levels of directories than an evaluation may leave."""


def copy_out(chunks: Iterable[bytes], into: Path, *, max_bytes: int, max_entries: int) -> None:
    """Write the archive ``chunks`` of one directory to the empty directory ``into``.

    Stops at the first entry that goes beyond a limit: sizes are those the archive claims, so that
    a file of holes does not fill the disk. Raises OutputTooLargeError, OSError.
    """
    room = max_bytes
    try:
        stream = cast(IO[bytes], _Stream(chunks))
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_COPY_BYTES) as archive:
            for number, entry in enumerate(archive):
                if number > max_entries:
                    raise OutputTooLargeError(f"more than {max_entries} files")
                room -= entry.size
                if room < 0:
                    raise OutputTooLargeError(f"more than {max_bytes} bytes")
                _write(archive, entry, into)
    except tarfile.TarError as error:
        raise OSError(f"the engine sent a broken archive: {error}") from error


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, into: Path) -> None:
    _, *parts = PurePosixPath(entry.name).parts  # the first is the directory itself
    if len(parts) > MAX_DEPTH:
        raise OutputTooLargeError(f"directories {len(parts)} deep")
    if ".." in parts or entry.name.startswith("/"):
        raise OSError("the engine sent an archive that leads out of its directory")
    path = into.joinpath(*parts)
    if not entry.isreg():
        path.mkdir(exist_ok=True)
        return
    content = archive.extractfile(entry)
    assert content is not None
    # Made anew and through no link: nothing in ``into`` is older than this copy.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with content, os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        shutil.copyfileobj(content, file, _COPY_BYTES)


class _Stream:
    """Chunks as the file that tarfile reads."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
