"""Reading model repositories: what a revision holds, small files of it, and all that is needed.

Everything goes through huggingface_hub, so proxies, tokens and mirrors work as its users know.
Revisions are always pinned: a branch is resolved once, to the 40 digits of a commit.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, hf_hub_url
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, not in __all__
    build_hf_headers,
    get_session,
    hf_raise_for_status,
    tqdm,
)

from utilities.hub_errors import (
    DiskFullError,
    FileMissingError,
    HubUnreachableError,
    RepositoryRenamedError,
    RevisionMissingError,
    TooLargeError,
    gated,
    translated,
)

MAX_REPOSITORY_BYTES = 18 * 10**9
METADATA_TIMEOUT = 15.0
"""Seconds that the hub may take to answer about metadata or to send more of a small file."""
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "spiece.model", "tokenizer.model")
"""What a download fetches of the repository's top folder: no code and no pickles."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CHUNK = 1 << 20

Progress = Callable[[int, int], None]
"""Called with the bytes so far and in total. An exception from it stops the download, which can
be resumed."""


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


class Hub:
    """A model hub. ``endpoint`` and ``token`` default to huggingface_hub's own settings."""

    def __init__(self, *, endpoint: str | None = None, token: str | None = None) -> None:
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._token = token

    def resolve_revision(
        self, namespace: str, name: str, revision: str | None = None
    ) -> RepoSnapshot:
        """What the repository holds at ``revision``, by default at the newest commit of main.

        Reads metadata only. Raises HubError: RepositoryMissingError, RepositoryRenamedError,
        RepositoryGatedError, RevisionMissingError, InvalidRepositoryNameError,
        HubUnreachableError.
        """
        repo_id = f"{namespace}/{name}"
        with translated(repo_id, revision):
            info = HfApi(endpoint=self._endpoint, token=self._token).model_info(
                repo_id, revision=revision, files_metadata=True, timeout=METADATA_TIMEOUT
            )
        if info.id != repo_id:
            raise RepositoryRenamedError(
                f"the hub knows {repo_id} as {info.id}", f"Use the name {info.id}."
            )
        if info.sha is None or not is_pinned(info.sha) or info.siblings is None:
            raise HubUnreachableError(
                f"the hub's answer about {repo_id} lacks the commit or the files",
                "Check that HF_ENDPOINT names a model hub.",
            )
        return RepoSnapshot(
            repo_id=repo_id,
            revision=info.sha,
            files=tuple(_file(repo_id, sibling) for sibling in info.siblings),
            private=bool(info.private),
            gated=bool(info.gated),
        )

    def read_small_file(self, snapshot: RepoSnapshot, path: str, *, max_bytes: int) -> bytes:
        """The content of one file, at most ``max_bytes``, checked against the metadata.

        Raises FileMissingError, TooLargeError and what ``resolve_revision`` raises.
        """
        file = snapshot.find(path)
        at = f"{snapshot.repo_id}@{snapshot.revision}"
        if file is None:
            raise FileMissingError(f"{at} has no {path}", "Upload the file and commit again.")
        if file.size > max_bytes:
            raise _too_large(f"{at}: {path}", file.size, max_bytes)
        url = hf_hub_url(
            snapshot.repo_id, path, revision=snapshot.revision, endpoint=self._endpoint
        )
        content = bytearray()
        with (
            translated(snapshot.repo_id, snapshot.revision),
            get_session().stream(
                "GET",
                url,
                headers=build_hf_headers(token=self._token),
                follow_redirects=True,
                timeout=METADATA_TIMEOUT,
            ) as response,
        ):
            hf_raise_for_status(response)
            for chunk in response.iter_bytes(_CHUNK):
                content += chunk
                if len(content) > file.size:
                    break
        if not _matches(file, [bytes(content)]):
            raise _corrupt(at, path)
        return bytes(content)

    def download_revision(
        self,
        repo_id: str,
        revision: str,
        into: Path,
        *,
        max_bytes: int = MAX_REPOSITORY_BYTES,
        progress: Progress | None = None,
    ) -> Path:
        """Fetch the model's files of a pinned revision into the directory ``into``.

        What is there already and intact is kept; what an earlier try left half-done is resumed.
        Every file is checked against the digest that the hub's metadata give. Returns ``into``.

        Raises TooLargeError, DiskFullError, StorageError and what ``resolve_revision`` raises;
        ValueError for a revision that is not pinned.
        """
        if not is_pinned(revision):
            raise ValueError(f"the revision must be 40 hex digits, not {revision!r:.100}")
        namespace, _, name = repo_id.partition("/")
        snapshot = self.resolve_revision(namespace, name, revision)
        if snapshot.revision != revision:
            raise RevisionMissingError(
                f"{repo_id} has no commit {revision}; the hub gave {snapshot.revision}",
                "Give the full 40-digit id of a commit, not of another git object.",
            )
        if snapshot.gated:
            raise gated(repo_id)
        files = model_files(snapshot)
        total = sum(file.size for file in files)
        if total > max_bytes:
            raise _too_large(f"the model in {repo_id}@{revision}", total, max_bytes)
        with translated(repo_id, revision):
            into.mkdir(parents=True, exist_ok=True)
            missing = [file for file in files if not _is_intact(into, file)]
            self._fetch(snapshot, missing, into, total, progress)
            # The client's notes for resuming; they are no part of the model.
            shutil.rmtree(into / ".cache", ignore_errors=True)
        return into

    def _fetch(
        self,
        snapshot: RepoSnapshot,
        files: Sequence[RepoFile],
        into: Path,
        total: int,
        progress: Progress | None,
    ) -> None:
        needed = sum(file.size for file in files) - _half_done(into)
        free = shutil.disk_usage(into).free
        if needed > free:
            raise DiskFullError(
                f"{snapshot.repo_id} needs {needed:,} bytes in {into}, where {free:,} are free",
                "Free some space and try again.",
            )
        done = total - sum(file.size for file in files)
        for file in files:
            counter = _Counter(file, done, total, progress)
            hf_hub_download(
                snapshot.repo_id,
                file.path,
                revision=snapshot.revision,
                local_dir=into,
                endpoint=self._endpoint,
                token=self._token,
                etag_timeout=METADATA_TIMEOUT,
                tqdm_class=_bar_class(counter),
            )
            if not _is_intact(into, file):
                (into / file.path).unlink(missing_ok=True)
                raise _corrupt(f"{snapshot.repo_id}@{snapshot.revision}", file.path)
            done += file.size
        if progress is not None:
            progress(done, total)


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


class _Counter:
    """Bytes of one file as they arrive; more than its metadata promise stop the download."""

    def __init__(self, file: RepoFile, done: int, total: int, progress: Progress | None) -> None:
        self._file, self._done, self._total, self._progress = file, done, total, progress
        self._received = 0

    def add(self, count: int) -> None:
        self._received += count
        if self._received > self._file.size:
            raise _too_large(self._file.path, self._received, self._file.size)
        if self._progress is not None:
            self._progress(self._done + self._received, self._total)


def _bar_class(counter: _Counter) -> type[tqdm]:
    """An invisible progress bar that hands what arrives to ``counter``."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            counter.add(int(kwargs.get("initial", 0)))

        def update(self, n: float | None = 1) -> None:
            counter.add(int(n or 0))

    return Bar


def _file(repo_id: str, sibling: RepoSibling) -> RepoFile:
    if sibling.size is None or sibling.size < 0 or sibling.blob_id is None:
        raise HubUnreachableError(
            f"the hub does not tell the size of {sibling.rfilename!r:.200} in {repo_id}",
            "Check that HF_ENDPOINT names a model hub.",
        )
    sha256 = sibling.lfs.sha256 if sibling.lfs is not None else None
    return RepoFile(sibling.rfilename, sibling.size, sibling.blob_id, sha256)


def _is_intact(into: Path, file: RepoFile) -> bool:
    path = into / file.path
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as stream:
        return _matches(file, iter(lambda: stream.read(_CHUNK), b""))


def _matches(file: RepoFile, chunks: Iterable[bytes]) -> bool:
    if file.sha256 is not None:
        digest, expected = hashlib.sha256(), file.sha256
    else:
        # Git names a file by the SHA-1 of a header and its content.
        digest = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
        expected = file.blob_id
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest() == expected


def _half_done(into: Path) -> int:
    return sum(part.stat().st_size for part in (into / ".cache").rglob("*.incomplete"))


def _too_large(what: str, size: int, limit: int) -> TooLargeError:
    return TooLargeError(
        f"{what} is {size:,} bytes, more than the {limit:,} that are allowed",
        "Publish a smaller one.",
    )


def _corrupt(at: str, path: str) -> HubUnreachableError:
    return HubUnreachableError(
        f"{at}: {path} does not have the digest that the hub's metadata give",
        "Try again; if it lasts, upload the file again.",
    )
