"""The rehearsal chain on disk: its blocks, and every value that a storage key ever had.

One SQLite file. A block and its changes are one transaction, so whatever ends the process, the
chain goes on from a whole block.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from devnet_scale import Reader, sequence, sized

from utilities.errors import SubnetError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS blocks (
    number INTEGER PRIMARY KEY, hash BLOB UNIQUE NOT NULL, parent BLOB NOT NULL,
    changes BLOB NOT NULL, extrinsics BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS storage (
    key BLOB, block INTEGER, value BLOB, PRIMARY KEY (key, block)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS storage_by_block ON storage (block);
"""


class RootInUseError(SubnetError):
    """Another devnet keeps its state in the same directory."""

    code: ClassVar[str] = "ROOT_IN_USE"


@dataclass(frozen=True)
class Block:
    """One block. ``changes`` is a digest over what it changed in the state."""

    number: int
    hash: bytes
    parent: bytes
    changes: bytes
    extrinsics: tuple[bytes, ...]


class DevnetStore:
    """Everything below one directory; used from one thread."""

    def __init__(self, root: Path) -> None:
        """Open or make the directory. Raises RootInUseError, and OSError if it is unusable."""
        root.mkdir(parents=True, exist_ok=True)
        # Held as long as this process lives, however it ends.
        self._root_lock = (root / "lock").open("w")
        try:
            fcntl.flock(self._root_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RootInUseError(
                f"another devnet keeps its state in {root}", "Stop it or choose another directory."
            ) from error
        try:
            self._db = sqlite3.connect(root / "chain.sqlite", isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            # A killed process loses nothing; a machine that loses power may lose the last blocks.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"{root / 'chain.sqlite'}: {error}") from error

    def close(self) -> None:
        """Write back and let go of the directory."""
        self._db.close()
        self._root_lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; may be nested."""
        self._db.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO step")
            raise
        finally:
            self._db.execute("RELEASE step")

    # Blocks

    def add_block(self, block: Block) -> None:
        """Append a block."""
        extrinsics = sequence(map(sized, block.extrinsics))
        self._db.execute(
            "INSERT INTO blocks VALUES (?, ?, ?, ?, ?)",
            (block.number, block.hash, block.parent, block.changes, extrinsics),
        )

    def head(self) -> Block | None:
        """The newest block; None before the first."""
        return self._block("ORDER BY number DESC LIMIT 1")

    def block_numbered(self, number: int) -> Block | None:
        """The block at a height."""
        return self._block("WHERE number = ?", number)

    def block_hashed(self, block_hash: bytes) -> Block | None:
        """The block with a hash."""
        return self._block("WHERE hash = ?", block_hash)

    def _block(self, which: str, *values: object) -> Block | None:
        row = self._db.execute(
            f"SELECT number, hash, parent, changes, extrinsics FROM blocks {which}",  # noqa: S608  # ours
            values,
        ).fetchone()
        if row is None:
            return None
        reader = Reader(row[4])
        extrinsics = tuple(reader.sized() for _ in range(reader.compact()))
        number, block_hash, parent, changes, _ = row
        return Block(number, block_hash, parent, changes, extrinsics)

    # Storage

    def write(self, key: bytes, value: bytes | None, block: int) -> None:
        """Give a key its value from ``block`` on; None removes it."""
        self._db.execute("INSERT OR REPLACE INTO storage VALUES (?, ?, ?)", (key, block, value))

    def read(self, key: bytes, block: int) -> bytes | None:
        """The value of a key after ``block``."""
        row = self._db.execute(
            "SELECT value FROM storage WHERE key = ? AND block <= ? ORDER BY block DESC LIMIT 1",
            (key, block),
        ).fetchone()
        return None if row is None else row[0]

    def keys(
        self, prefix: bytes, block: int, *, after: bytes = b"", limit: int = -1
    ) -> list[bytes]:
        """Keys under ``prefix`` that have a value after ``block``, in order, beyond ``after``."""
        rows = self._db.execute(
            # A bare column beside max() is taken from the row of the maximum.
            "SELECT key FROM (SELECT key, value, max(block) FROM storage "
            "WHERE key >= ? AND key < ? AND key > ? AND block <= ? GROUP BY key) "
            "WHERE value IS NOT NULL ORDER BY key LIMIT ?",
            (prefix, prefix + b"\xff" * 64, after, block, limit),
        )
        return [row[0] for row in rows]

    def changes(self, block: int) -> list[tuple[bytes, bytes | None]]:
        """What a block changed, in the order of the keys."""
        rows = self._db.execute(
            "SELECT key, value FROM storage WHERE block = ? ORDER BY key", (block,)
        )
        return rows.fetchall()
