"""What a repository holds at one commit, as the hub's metadata tell, and which bytes are right."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "spiece.model", "tokenizer.model")
"""What a download fetches of the repository's top folder: no code and no pickles."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class RepoFile:
    """A file as the hub's metadata describe it.

    ``blob_id`` is git's object id; ``sha256`` is known for files in large file storage only.
    """

    path: str
    size: int
    blob_id: str
    sha256: str | None


@dataclass(frozen=True)
class RepoSnapshot:
    """What a repository holds at one revision, 40 hex digits."""

    repo_id: str
    revision: str
    files: tuple[RepoFile, ...]
    private: bool
    gated: bool

    @property
    def total_bytes(self) -> int:
        """All files together."""
        return sum(file.size for file in self.files)

    def find(self, path: str) -> RepoFile | None:
        """The file at ``path``, if there is one."""
        return next((file for file in self.files if file.path == path), None)


def is_pinned(revision: str) -> bool:
    """Whether ``revision`` is the full id of a commit."""
    return _COMMIT.fullmatch(revision) is not None


def model_files(snapshot: RepoSnapshot) -> tuple[RepoFile, ...]:
    """The files of a snapshot that a download fetches."""
    return tuple(file for file in snapshot.files if _is_model_file(file.path))


def _is_model_file(path: str) -> bool:
    pure = PurePosixPath(path)
    in_top_folder = len(pure.parts) == 1 and "\\" not in path and not path.startswith(".")
    return in_top_folder and any(pure.match(pattern) for pattern in MODEL_FILES)


def has_digest(file: RepoFile, chunks: Iterable[bytes]) -> bool:
    """Whether ``chunks`` are the content that the metadata promise."""
    if file.sha256 is not None:
        digest, expected = hashlib.sha256(), file.sha256
    else:
        # Git names a file by the SHA-1 of a header and its content.
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        expected = file.blob_id
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest() == expected
