"""Fetching the files of a pinned revision: resumable, bounded, and checked byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import httpx2

from utilities.hub_errors import DiskFullError, HubUnreachableError
from utilities.hub_snapshot import RepoFile, RepoSnapshot, has_digest

MAX_ATTEMPTS = 10
"""Connections that one file may take, each resuming where the last one broke."""
CHUNK_BYTES = 1 << 20

Progress = Callable[[int, int], None]
"""Called with the bytes so far and in total. An exception from it stops the download, which can
be resumed."""
Opener = Callable[[RepoSnapshot, str, int], AbstractContextManager[httpx2.Response]]
"""Opens a file of a snapshot for reading from a byte on."""


def fetch_files(
    opener: Opener,
    snapshot: RepoSnapshot,
    files: Sequence[RepoFile],
    into: Path,
    progress: Progress | None,
) -> None:
    """Make ``files`` be in the directory ``into``; what is there and intact is kept.

    Raises DiskFullError, HubUnreachableError, and what ``opener`` raises.
    """
    missing = [file for file in files if not _is_intact(into / file.path, file)]
    _check_space(snapshot.repo_id, missing, into)
    total = sum(file.size for file in files)
    done = total - sum(file.size for file in missing)
    for file in missing:
        _fetch(opener, snapshot, file, into, _offset(progress, done, total))
        done += file.size
    if progress is not None:
        progress(done, total)


def is_whole(snapshot: RepoSnapshot, directory: Path) -> bool:
    """Whether ``directory`` holds every file of ``snapshot``, byte for byte. Reads them all."""
    return all(_is_intact(directory / file.path, file) for file in snapshot.files)


def corrupt(snapshot: RepoSnapshot, path: str) -> HubUnreachableError:
    """The error for a content that is not what the metadata promise."""
    return HubUnreachableError(
        f"{snapshot.repo_id}@{snapshot.revision}: {path} does not have the digest that the hub's "
        "metadata give",
        "Try again; if it lasts, upload the file again.",
    )


def _fetch(
    opener: Opener,
    snapshot: RepoSnapshot,
    file: RepoFile,
    into: Path,
    report: Callable[[int], None],
) -> None:
    part = _part_of(into, file)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        before = _size(part)
        try:
            _append(opener, snapshot, file, part, report)
            break
        except HubUnreachableError:
            # A connection that broke is taken up again, as long as each brings something.
            if attempt == MAX_ATTEMPTS or _size(part) <= before:
                raise
    if not _is_intact(part, file):
        part.unlink()
        raise corrupt(snapshot, file.path)
    part.replace(into / file.path)


def _append(
    opener: Opener,
    snapshot: RepoSnapshot,
    file: RepoFile,
    part: Path,
    report: Callable[[int], None],
) -> None:
    start = _size(part)
    if start == file.size > 0:
        return
    with opener(snapshot, file.path, start) as response:
        resumed = response.status_code == httpx2.codes.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as stream:
            size = stream.tell()
            report(size)
            for chunk in response.iter_bytes(CHUNK_BYTES):
                size += len(chunk)
                if size > file.size:
                    raise corrupt(snapshot, file.path)
                stream.write(chunk)
                report(size)
    if size < file.size:
        raise HubUnreachableError(
            f"the download of {file.path} from {snapshot.repo_id} broke off", "Try again."
        )


def _check_space(repo_id: str, files: Sequence[RepoFile], into: Path) -> None:
    needed = sum(file.size - _size(_part_of(into, file)) for file in files)
    free = shutil.disk_usage(into).free
    if needed > free:
        raise DiskFullError(
            f"{repo_id} needs {needed:,} more bytes in {into}, where {free:,} are free",
            "Free some space and try again.",
        )


def _offset(progress: Progress | None, done: int, total: int) -> Callable[[int], None]:
    """Reports the bytes of one file as bytes of all."""

    def report(size: int) -> None:
        if progress is not None:
            progress(done + size, total)

    return report


def _part_of(into: Path, file: RepoFile) -> Path:
    # Named by its content too, so that no other revision's part is taken up.
    return into / f".{file.path}.{file.blob_id}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_intact(path: Path, file: RepoFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return has_digest(file, iter(lambda: stream.read(CHUNK_BYTES), b""))
