"""The rehearsal hub's state on disk: repositories, commits and contents.

Contents are named by their sha256 and commits by a sha1, so nothing that a client sends becomes a
path, except the names of repositories, which are checked.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar, Literal

from devhub_records import (
    Commit,
    DevHubError,
    Repository,
    StoredFile,
    check_path,
    folders_of,
    git_blob_id,
    is_name,
)

from utilities.errors import SubnetError

MAIN = "main"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RootInUseError(SubnetError):
    """Another hub keeps its state in the same directory."""

    code: ClassVar[str] = "ROOT_IN_USE"


class DevHubStore:
    """Everything below one directory. Writes are atomic, and one at a time."""

    def __init__(self, root: Path) -> None:
        """Open or make the directory. Raises RootInUseError, and OSError if it is unusable."""
        self._root = root
        self._lock = threading.RLock()
        for name in ("blobs", "incoming", "repos"):
            (root / name).mkdir(parents=True, exist_ok=True)
        # Held as long as this process lives, however it ends.
        self._root_lock = (root / "lock").open("w")
        try:
            fcntl.flock(self._root_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RootInUseError(
                f"another hub keeps its state in {root}", "Stop it or choose another directory."
            ) from error
        for left_over in (root / "incoming").iterdir():
            _remove(left_over)

    # Contents

    def blob(self, sha256: str) -> Path:
        """Where the content with that digest is, or would be."""
        if not _SHA256.fullmatch(sha256):
            raise DevHubError(400, "BadRequest", "an object id is 64 hexadecimal digits")
        return self._root / "blobs" / sha256

    def incoming(self) -> Path:
        """A fresh place for what is being written, or removed; it is emptied at each start."""
        return self._root / "incoming" / os.urandom(16).hex()

    def add_bytes(self, content: bytes) -> StoredFile:
        """Store a regular file."""
        sha256 = hashlib.sha256(content).hexdigest()
        self._write(self.blob(sha256), content)
        return StoredFile(sha256, len(content), git_blob_id(content), lfs=False)

    def lfs_file(self, sha256: str, size: int) -> StoredFile:
        """The entry for a content that was uploaded before."""
        path = self.blob(sha256)
        if not path.is_file() or path.stat().st_size != size:
            raise DevHubError(400, "BadRequest", f"the content {sha256} was not uploaded")
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return StoredFile(sha256, size, git_blob_id(pointer.encode()), lfs=True)

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
        with self._lock:
            if self.find(namespace, name) is not None:
                raise DevHubError(409, "Conflict", "You already created this model repo")
            first = self._write_commit(namespace, name, None, "initial commit", now, {})
            repository = Repository(f"{namespace}/{name}", private, False, now, first.oid)
            self._save(repository)
            return repository

    def change_settings(
        self,
        repository: Repository,
        *,
        private: bool | None,
        gated: Literal["auto", "manual", False] | None,
    ) -> None:
        """Change who may read; None leaves a setting as it is."""
        with self._lock:
            current = self._current(repository)
            self._save(
                replace(
                    current,
                    private=current.private if private is None else private,
                    gated=current.gated if gated is None else gated,
                )
            )

    def delete(self, repository: Repository) -> None:
        """Forget a repository and its commits; contents may be shared and stay."""
        place = self.incoming()
        with self._lock:
            self._home(*self._current(repository).repo_id.split("/")).rename(place)
        _remove(place)

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
        with self._lock:
            current = self._current(repository)
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
            tree = {**kept, **added}
            if both := folders_of(tree) & tree.keys():
                raise DevHubError(
                    400, "BadRequest", f"both a file and a folder: {min(both)!r:.200}"
                )
            commit = self._write_commit(namespace, name, current.head, title, now, tree)
            self._save(replace(current, head=commit.oid))
            return commit

    def squash(self, repository: Repository, *, title: str, now: str) -> Commit:
        """One commit in place of all: the older revisions vanish."""
        namespace, name = repository.repo_id.split("/")
        with self._lock:
            current = self._current(repository)
            files = self.commit_at(current, MAIN).files
            commit = self._write_commit(namespace, name, None, title, now, files)
            self._save(replace(current, head=commit.oid))
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
        self._write(path, json.dumps({**asdict(commit), "files": entries}).encode())
        return commit

    def _current(self, repository: Repository) -> Repository:
        # A request reads its repository before its body: meanwhile others may have changed it.
        current = self.find(*repository.repo_id.split("/"))
        if current is None:
            raise DevHubError(404, "RepoNotFound", "Repository not found")
        return current

    def _save(self, repository: Repository) -> None:
        path = self._home(*repository.repo_id.split("/")) / "repository.json"
        self._write(path, json.dumps(asdict(repository)).encode())

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.incoming()
        fresh.write_bytes(content)
        fresh.replace(path)

    def _commits(self, repository: Repository) -> Path:
        return self._home(*repository.repo_id.split("/")) / "commits"

    def _home(self, namespace: str, name: str) -> Path:
        for part in (namespace, name):
            if not is_name(part):
                raise DevHubError(404, "RepoNotFound", "Repository not found")
        return self._root / "repos" / namespace / name


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
