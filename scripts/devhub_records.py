"""What the rehearsal hub keeps: repositories, commits, files, and what they may be called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_NAME = re.compile(r"(?!.*(\.\.|--))[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
MAX_PATH_CHARS = 1_024


class DevHubError(Exception):
    """A request that cannot be served: HTTP status, the hub's error code, and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class StoredFile:
    """One file of a commit. ``blob_id`` is what git calls the file, or its LFS pointer."""

    sha256: str
    size: int
    blob_id: str
    lfs: bool


@dataclass(frozen=True)
class Commit:
    """The whole tree at one revision."""

    oid: str
    parent: str | None
    title: str
    date: str
    files: dict[str, StoredFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Repository:
    """A repository's settings and the tip of its only branch."""

    repo_id: str
    private: bool
    gated: str | bool
    created: str
    head: str

    @property
    def owner(self) -> str:
        """Who may write, and read while it is private."""
        return self.repo_id.split("/")[0]


def check_path(path: str) -> None:
    """Refuse a path that leaves the repository or is not in its plainest form."""
    parts = PurePosixPath(path).parts
    plain = "/".join(parts) == path and path.isprintable() and len(path) <= MAX_PATH_CHARS
    if (
        not parts
        or not plain
        or path.startswith("/")
        or "\\" in path
        or {"..", ".", ".git"} & set(parts)
    ):
        raise DevHubError(400, "BadRequest", f"not a path inside a repository: {path!r:.200}")


def folders_of(paths: Iterable[str]) -> set[str]:
    """Every folder that holds one of the files, directly or further down."""
    return {str(folder) for path in paths for folder in PurePosixPath(path).parents if folder.name}


def check_name(part: str) -> None:
    """Refuse what neither an owner nor a repository may be called."""
    if not is_name(part):
        raise DevHubError(400, "BadRequest", f"not a name for a repository: {part!r:.100}")


def is_name(part: str) -> bool:
    """Whether an owner or a repository may be called that."""
    return _NAME.fullmatch(part) is not None and not part.endswith((".", ".git"))


def git_blob_id(content: bytes) -> str:
    """What git calls a file with this content."""
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
