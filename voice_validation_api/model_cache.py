"""Downloaded models on this machine: bounded, least recently used out first, shared by all workers.

Below the cache's directory::

    lock                  held while entries are counted and removed
    <key>.lock            held shared by those who use the entry, exclusively while it changes
    <key>/entry.json      whose it is and how many bytes it takes; its mtime is the last use
    <key>/partial/        what is downloaded so far; a later download takes it up
    <key>/model/          the whole model: it appears by a rename

Locks are the kernel's, so threads, processes and crashes are all alike. An entry in use is never
removed: the cache outgrows its bound only by what its users hold at one time. A model larger than
the bound is kept alone.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from voice_validation_api.file_locks import locked, locked_now

log = logging.getLogger(__name__)

Fingerprint = tuple[tuple[str, int, int, int, int], ...]


class AlteredModelError(Exception):
    """Somebody wrote into an entry while it was in use: what was read from it is in doubt."""


class _ReplacedError(Exception):
    """The entry that was found wanting is another one by now."""


@dataclass(frozen=True)
class Wanted:
    """A model that somebody needs, and how to come by it.

    ``key`` is unique to the content and fit for a file name. ``fetch`` fills a directory and may
    find there what an interrupted call left. ``is_whole`` checks a directory byte for byte.
    """

    key: str
    name: str
    size_bytes: int
    fetch: Callable[[Path], None]
    is_whole: Callable[[Path], bool]


@dataclass(frozen=True)
class Entry:
    """What the cache holds. ``last_use`` in nanoseconds of the cache's clock."""

    key: str
    size_bytes: int
    last_use: int
    in_use: bool


def evictions(entries: Iterable[Entry], excess_bytes: int) -> tuple[Entry, ...]:
    """The least recently used idle entries that together hold ``excess_bytes``, or all of them."""
    chosen: list[Entry] = []
    idle = (entry for entry in entries if not entry.in_use)
    for entry in sorted(idle, key=lambda entry: (entry.last_use, entry.key)):
        if excess_bytes <= 0:
            break
        chosen.append(entry)
        excess_bytes -= entry.size_bytes
    return tuple(chosen)


class ModelCache:
    """The cache in the directory ``root``.

    It holds ``max_bytes``, and fewer where the disk would have less than ``min_free_bytes`` left.
    ``clock`` gives the time of a use in nanoseconds.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_bytes: int,
        min_free_bytes: int,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        # The evaluator works in another directory.
        self._root = root.resolve()
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._clock = clock

    @contextmanager
    def held(self, wanted: Wanted, waiting: Callable[[], None]) -> Iterator[Path]:
        """The directory of a whole model, which nobody removes until the block ends.

        It is fetched unless it is here; what is here is checked byte for byte first, and thrown
        away if anything differs. ``waiting`` is called while another worker fetches the same
        model; what it raises ends the wait.

        Raises AlteredModelError at the end of the block, OSError, and what ``wanted.fetch`` raises.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        lock, model = self._lock_of(wanted.key), self._root / wanted.key / "model"
        fetched: Fingerprint | None = None
        while True:
            with locked(lock, shared=True, waiting=waiting):
                found, directory = _fingerprint(model), _identity(model)
                # What was fetched a moment ago was checked while it came in.
                if found and (found == fetched or wanted.is_whole(model)):
                    self._touch(wanted.key)
                    yield model
                    self._touch(wanted.key)
                    if _fingerprint(model) != found:
                        raise AlteredModelError(f"{wanted.name} changed in {model} while in use")
                    return
            # Whoever fetches it meanwhile goes on to hold it for as long as an evaluation: then it
            # is used beside him.
            look = partial(_unless_replaced, model, directory, waiting)
            with suppress(_ReplacedError), locked(lock, waiting=look):
                fetched = self._fill(model, wanted)

    def evict(self, free_bytes: int) -> int:
        """Remove idle entries of ``free_bytes`` together, or all; the bytes that they held."""
        if not self._root.is_dir():
            return 0
        with locked(self._root / "lock"):
            return self._remove(evictions(self._entries(), free_bytes))

    def entries(self) -> list[Entry]:
        """Everything that is here, whole or in part."""
        if not self._root.is_dir():
            return []
        with locked(self._root / "lock"):
            return self._entries()

    def _fill(self, model: Path, wanted: Wanted) -> Fingerprint:
        # Another worker may have been first.
        if not (model.exists() and wanted.is_whole(model)):
            if model.exists():
                log.error("%s is damaged in the cache: thrown away", wanted.name)
                _remove_tree(model)
            self._make_room(wanted)
            partial = model.with_name("partial")
            wanted.fetch(partial)
            for file in partial.iterdir():
                file.chmod(0o444)
            partial.rename(model)
        return _fingerprint(model)

    def _make_room(self, wanted: Wanted) -> None:
        # Announced before it is downloaded, so that others count it.
        with locked(self._root / "lock"):
            self._announce(wanted)
            entries = self._entries()
            surplus = sum(entry.size_bytes for entry in entries) - self._max_bytes
            free = shutil.disk_usage(self._root).free
            shortage = wanted.size_bytes + self._min_free_bytes - free
            self._remove(evictions(entries, max(surplus, shortage)))

    def _announce(self, wanted: Wanted) -> None:
        entry = self._root / wanted.key
        entry.mkdir(exist_ok=True)
        draft = entry / "entry.json.draft"
        draft.write_text(json.dumps({"name": wanted.name, "bytes": wanted.size_bytes}))
        draft.replace(entry / "entry.json")
        self._touch(wanted.key)

    def _touch(self, key: str) -> None:
        now = self._clock()
        os.utime(self._root / key / "entry.json", ns=(now, now))

    def _entries(self) -> list[Entry]:
        return [self._entry(record) for record in sorted(self._root.glob("*/entry.json"))]

    def _entry(self, record: Path) -> Entry:
        key = record.parent.name
        with locked_now(self._lock_of(key)) as idle:
            return Entry(key, _size_of(record), record.stat().st_mtime_ns, not idle)

    def _remove(self, chosen: Iterable[Entry]) -> int:
        freed = 0
        for entry in chosen:
            lock = self._lock_of(entry.key)
            with locked_now(lock) as idle:
                # Somebody may have begun to use it since it was counted.
                if idle:
                    log.info("removing %s (%d bytes) from the cache", entry.key, entry.size_bytes)
                    _remove_tree(self._root / entry.key)
                    lock.unlink()
                    freed += entry.size_bytes
        return freed

    def _lock_of(self, key: str) -> Path:
        return self._root / f"{key}.lock"


def _identity(directory: Path) -> tuple[int, int] | None:
    """Tells a directory from another of the same name; None if there is none."""
    try:
        facts = directory.stat()
    except FileNotFoundError:
        return None
    # A number is given anew at once, but at another time.
    return facts.st_ino, facts.st_ctime_ns


def _unless_replaced(
    directory: Path, before: tuple[int, int] | None, waiting: Callable[[], None]
) -> None:
    """Call ``waiting``. Raises _ReplacedError where ``directory`` is not the one of ``before``."""
    if _identity(directory) != before:
        raise _ReplacedError
    waiting()


def _size_of(record: Path) -> int:
    try:
        return int(json.loads(record.read_text())["bytes"])
    except (ValueError, KeyError, TypeError):
        # A power cut may leave the record empty.
        return sum(path.stat().st_size for path in record.parent.rglob("*") if path.is_file())


def _fingerprint(directory: Path) -> Fingerprint:
    """What changes when anything in ``directory`` is written to; empty if there is nothing.

    The kernel sets ctime and no program can set it back.
    """
    if not directory.is_dir():
        return ()
    files = [(path.name, path.lstat()) for path in sorted(directory.iterdir())]
    return tuple((name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for name, s in files)


def _remove_tree(path: Path) -> None:
    # Under another name first: what a crash leaves half removed is not taken for whole.
    doomed = path.with_name(f".{path.name}.removed")
    shutil.rmtree(doomed, ignore_errors=True)
    path.rename(doomed)
    shutil.rmtree(doomed)
