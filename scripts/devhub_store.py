"""The rehearsal hub's state on disk: repositories, commits and contents.

Contents are named by their sha256 and commits by a sha1, so nothing that a client sends becomes a
path, except the names of repositories, which are checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath

MAIN = "main"
_NAME = re.compile(r"(?!.*(\.\.|--))[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
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


class DevHubStore:
    """Everything below one directory. Writes are atomic, and one at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.lock = threading.RLock()
        for name in ("blobs", "incoming", "repos"):
            (root / name).mkdir(parents=True, exist_ok=True)

    # Contents

    def blob(self, sha256: str) -> Path:
        """Where the content with that digest is, or would be."""
        if not _SHA256.fullmatch(sha256):
            raise DevHubError(400, "BadRequest", "an object id is 64 hexadecimal digits")
        return self._root / "blobs" / sha256

    def incoming(self) -> Path:
        """A fresh place for a content that is being received."""
        return self._root / "incoming" / os.urandom(16).hex()

    def add_bytes(self, content: bytes) -> StoredFile:
        """Store a regular file."""
        sha256 = hashlib.sha256(content).hexdigest()
        _write(self.blob(sha256), content)
        return StoredFile(sha256, len(content), _git_blob_id(content), lfs=False)

    def lfs_file(self, sha256: str, size: int) -> StoredFile:
        """The entry for a content that was uploaded before."""
        path = self.blob(sha256)
        if not path.is_file() or path.stat().st_size != size:
            raise DevHubError(400, "BadRequest", f"the content {sha256} was not uploaded")
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return StoredFile(sha256, size, _git_blob_id(pointer.encode()), lfs=True)

    # Repositories

    def repositories(self) -> Iterator[Repository]:
        """All repositories by name."""
        for path in sorted((self._root / "repos").glob("*/*/repository.json")):
            yield Repository(**json.loads(path.read_text()))

    def find(self, namespace: str, name: str) -> Repository | None:
        """The repository, if it exists."""
        path = self._home(namespace, name) / "repository.json"
        return Repository(**json.loads(path.read_text())) if path.is_file() else None

    def create(self, namespace: str, name: str, *, private: bool, now: str) -> Repository:
        """A new repository with an empty first commit."""
        with self.lock:
            if self.find(namespace, name) is not None:
                raise DevHubError(409, "Conflict", "You already created this model repo")
            first = self._write_commit(namespace, name, None, "initial commit", now, {})
            repository = Repository(f"{namespace}/{name}", private, False, now, first.oid)
            self.update(repository)
            return repository

    def update(self, repository: Repository) -> None:
        """Write a repository's settings."""
        path = self._home(*repository.repo_id.split("/")) / "repository.json"
        _write(path, json.dumps(asdict(repository)).encode())

    def delete(self, repository: Repository) -> None:
        """Forget a repository and its commits; contents may be shared and stay."""
        with self.lock:
            shutil.rmtree(self._home(*repository.repo_id.split("/")))

    # Commits

    def commit_at(self, repository: Repository, revision: str) -> Commit:
        """The commit that ``revision``, ``main`` or a commit's id, names."""
        oid = repository.head if revision == MAIN else revision
        path = self._commits(repository) / f"{oid}.json"
        if not _COMMIT.fullmatch(oid) or not path.is_file():
            raise DevHubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        values = json.loads(path.read_text())
        files = {name: StoredFile(**entry) for name, entry in values.pop("files").items()}
        return Commit(**values, files=files)

    def history(self, repository: Repository, revision: str) -> Iterator[Commit]:
        """A commit and its ancestors."""
        oid: str | None = revision
        while oid is not None:
            commit = self.commit_at(repository, oid)
            yield commit
            oid = commit.parent

    def add_commit(
        self,
        repository: Repository,
        *,
        title: str,
        now: str,
        expected_parent: str | None,
        added: dict[str, StoredFile],
        deleted: Iterable[str],
        deleted_folders: Iterable[str],
    ) -> Commit:
        """Change files on the branch; the commit becomes its tip."""
        for path in added:
            check_path(path)
        gone = set(deleted)
        folders = tuple(f"{folder.strip('/')}/" for folder in deleted_folders)
        namespace, name = repository.repo_id.split("/")
        with self.lock:
            current = self.find(namespace, name)
            if current is None:
                raise DevHubError(404, "RepoNotFound", "Repository not found")
            if expected_parent is not None and not current.head.startswith(expected_parent):
                raise DevHubError(412, "Conflict", "the branch has moved since the parent commit")
            files = dict(self.commit_at(current, MAIN).files)
            if missing := gone - files.keys():
                raise DevHubError(
                    404, "EntryNotFound", f"A file with this name doesn't exist: {min(missing)}"
                )
            kept = {
                path: file
                for path, file in files.items()
                if path not in gone and not path.startswith(folders)
            }
            commit = self._write_commit(
                namespace, name, current.head, title, now, {**kept, **added}
            )
            self.update(replace(current, head=commit.oid))
            return commit

    def squash(self, repository: Repository, *, title: str, now: str) -> Commit:
        """One commit in place of all: the older revisions vanish."""
        namespace, name = repository.repo_id.split("/")
        with self.lock:
            files = self.commit_at(repository, MAIN).files
            commit = self._write_commit(namespace, name, None, title, now, files)
            self.update(replace(repository, head=commit.oid))
            for path in self._commits(repository).glob("*.json"):
                if path.stem != commit.oid:
                    path.unlink()
            return commit

    def _write_commit(
        self,
        namespace: str,
        name: str,
        parent: str | None,
        title: str,
        now: str,
        files: dict[str, StoredFile],
    ) -> Commit:
        entries = {path: asdict(files[path]) for path in sorted(files)}
        identity = json.dumps([f"{namespace}/{name}", parent, title, now, entries])
        oid = hashlib.sha1(identity.encode(), usedforsecurity=False).hexdigest()
        commit = Commit(oid, parent, title, now, files)
        path = self._home(namespace, name) / "commits" / f"{oid}.json"
        _write(path, json.dumps({**asdict(commit), "files": entries}).encode())
        return commit

    def _commits(self, repository: Repository) -> Path:
        return self._home(*repository.repo_id.split("/")) / "commits"

    def _home(self, namespace: str, name: str) -> Path:
        for part in (namespace, name):
            if not _NAME.fullmatch(part) or part.endswith((".", ".git")):
                raise DevHubError(404, "RepoNotFound", "Repository not found")
        return self._root / "repos" / namespace / name


def check_path(path: str) -> None:
    """Refuse a path that leaves the repository or is not in its plainest form."""
    parts = PurePosixPath(path).parts
    plain = "/".join(parts) == path and path.isprintable() and len(path) <= MAX_PATH_CHARS
    if not plain or path.startswith("/") or "\\" in path or {"..", ".", ".git"} & set(parts):
        raise DevHubError(400, "BadRequest", f"not a path inside a repository: {path!r:.200}")


def _git_blob_id(content: bytes) -> str:
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    fresh.write_bytes(content)
    fresh.replace(path)
