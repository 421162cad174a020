"""What is known of a recogniser from its files alone: identity, and whether it is a toy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

# Whisper base has 74 M parameters in 16 bits, small 244 M in 8 at the least.
REHEARSAL_BYTES = 160_000_000

_CHUNK_BYTES = 1 << 20


def model_files(directory: Path) -> list[Path]:
    """The files in ``directory``, by name, without the hidden ones in which caches keep notes."""
    return sorted(p for p in directory.iterdir() if p.is_file() and not p.name.startswith("."))


def files_digest(files: Sequence[Path]) -> str:
    """sha256 over name, size and content of ``files``, in the order given."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def is_rehearsal(weights: Path) -> bool:
    """True for weights as small as Whisper tiny and base, which err too often to rank models."""
    return weights.stat().st_size < REHEARSAL_BYTES
