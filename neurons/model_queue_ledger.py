"""What the model queue has seen on the chain and done about it, kept on disk.

One SQLite file: what was written stays, whenever the program ends. A commitment is known by hotkey,
block and text; nothing is ever deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar, Final

from utilities.errors import SubnetError

VERSION: Final = 1
BUSY_SECONDS: Final = 30.0

_SCHEMA: Final = """
CREATE TABLE progress (height INTEGER NOT NULL, block_hash TEXT);
CREATE TABLE commitments (
    hotkey TEXT NOT NULL,
    block INTEGER NOT NULL,
    text TEXT NOT NULL,
    block_hash TEXT,
    sealed_block INTEGER,
    seen_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hotkey, block, text)
);
CREATE INDEX commitments_by_state ON commitments (state);
CREATE TABLE seals (
    hotkey TEXT NOT NULL,
    block INTEGER NOT NULL,
    digest TEXT NOT NULL,
    reveal_round TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (hotkey, block)
);
"""


class LedgerError(SubnetError):
    """The file cannot be used."""

    code: ClassVar[str] = "LEDGER_UNUSABLE"


class State(str, Enum):
    """What became of a commitment."""

    PENDING = "PENDING"
    """To be submitted."""
    SUBMITTED = "SUBMITTED"
    """The API has it."""
    MALFORMED = "MALFORMED"
    """It names no model."""
    REFUSED = "REFUSED"
    """The API does not take it."""
    DEREGISTERED = "DEREGISTERED"
    """Its hotkey lost its place before it was submitted; registered anew, it is pending again."""


class SealState(str, Enum):
    """What became of a sealed commitment."""

    SEALED = "SEALED"
    OPENED = "OPENED"
    FAILED = "FAILED"
    REPLACED = "REPLACED"


@dataclass(frozen=True)
class Recorded:
    """A readable commitment. ``block`` is where the chain shows it, of a sealed one the reveal;
    ``sealed_block`` is where the sealed one appeared, if that is proven."""

    hotkey: str
    block: int
    text: str
    block_hash: str | None
    sealed_block: int | None
    seen_at: int
    state: State
    reason: str = ""


@dataclass(frozen=True)
class Seal:
    """A sealed commitment; ``digest`` is the sha256 of the ciphertext.

    ``reveal_round`` is an unsigned 64-bit number in decimal: it overflows an integer of SQLite.
    """

    hotkey: str
    block: int
    digest: str
    reveal_round: str
    seen_at: int
    state: SealState = SealState.SEALED


class Ledger:
    """The file. Opening it makes it; every method may raise LedgerError."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Statements outside of a transaction are transactions of their own.
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            self._db.row_factory = sqlite3.Row
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        self._path = path
        with self.transaction():
            [(version,)] = self._db.execute("PRAGMA user_version").fetchall()
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise _unusable(path, ValueError(f"it has version {version}, not {VERSION}"))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is kept, or nothing of it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error

    def progress(self) -> tuple[int, str | None] | None:
        """The newest block that was looked at and its hash; None at first."""
        rows = self._rows("SELECT height, block_hash FROM progress")
        return (rows[0]["height"], rows[0]["block_hash"]) if rows else None

    def set_progress(self, height: int, block_hash: str | None) -> None:
        """Everything up to ``height`` is recorded."""
        self._rows("DELETE FROM progress")
        self._rows("INSERT INTO progress VALUES (:height, :hash)", height=height, hash=block_hash)

    def knows(self, hotkey: str, block: int, text: str) -> bool:
        """Whether a commitment is recorded."""
        key = {"hotkey": hotkey, "block": block, "text": text}
        found = (
            "SELECT 1 FROM commitments WHERE hotkey = :hotkey AND block = :block AND text = :text"
        )
        return bool(self._rows(found, **key))

    def add(self, commitment: Recorded) -> None:
        """Record a commitment that is not known."""
        self._rows(
            "INSERT INTO commitments (hotkey, block, text, block_hash, sealed_block, seen_at, "
            "state, reason) VALUES (:hotkey, :block, :text, :block_hash, :sealed_block, :seen_at, "
            ":state, :reason)",
            **vars(commitment),
        )

    def in_state(self, state: State) -> tuple[Recorded, ...]:
        """The commitments in a state: first those tried least, and of these the oldest."""
        rows = self._rows(
            "SELECT hotkey, block, text, block_hash, sealed_block, seen_at, state, reason "
            "FROM commitments WHERE state = :state ORDER BY attempts, block, hotkey, text",
            state=state,
        )
        return tuple(Recorded(**{**dict(row), "state": State(row["state"])}) for row in rows)

    def set_state(self, commitment: Recorded, state: State, reason: str = "") -> None:
        """Record what became of a commitment."""
        self._rows(
            "UPDATE commitments SET state = :new_state, reason = :new_reason "
            "WHERE hotkey = :hotkey AND block = :block AND text = :text",
            **{**vars(commitment), "new_state": state, "new_reason": reason},
        )

    def count_attempt(self, commitment: Recorded, reason: str) -> None:
        """Submitting failed for now: others go first next time."""
        self._rows(
            "UPDATE commitments SET attempts = attempts + 1, reason = :new_reason "
            "WHERE hotkey = :hotkey AND block = :block AND text = :text",
            **{**vars(commitment), "new_reason": reason},
        )

    def counts(self) -> dict[str, int]:
        """How many commitments are in which state."""
        rows = self._rows("SELECT state, count(*) AS number FROM commitments GROUP BY state")
        return {row["state"]: row["number"] for row in rows}

    def add_seal(self, seal: Seal) -> bool:
        """Record a sealed commitment; whether it was new."""
        added = self._rows(
            "INSERT INTO seals VALUES (:hotkey, :block, :digest, :reveal_round, :seen_at, :state) "
            "ON CONFLICT DO NOTHING RETURNING block",
            **vars(seal),
        )
        return bool(added)

    def seals(self, state: SealState) -> tuple[Seal, ...]:
        """The sealed commitments in a state, oldest first."""
        rows = self._rows(
            "SELECT * FROM seals WHERE state = :state ORDER BY block, hotkey", state=state
        )
        return tuple(Seal(**{**dict(row), "state": SealState(row["state"])}) for row in rows)

    def end_seal(self, seal: Seal, state: SealState) -> None:
        """Record what became of a sealed commitment."""
        self._rows(
            "UPDATE seals SET state = :new_state WHERE hotkey = :hotkey AND block = :block",
            **{**vars(seal), "new_state": state},
        )

    def is_opened(self, seal: Seal) -> bool:
        """Whether a reveal of that sealed commitment is recorded."""
        found = "SELECT 1 FROM commitments WHERE hotkey = :hotkey AND sealed_block = :block"
        return bool(self._rows(found, **vars(seal)))

    def _rows(self, statement: str, **values: object) -> list[sqlite3.Row]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error


def _unusable(path: Path, error: Exception) -> LedgerError:
    return LedgerError(
        f"the model queue's state in {path} cannot be used: {error}",
        "Check the disk and the file's permissions, or move the file away to begin anew.",
    )
