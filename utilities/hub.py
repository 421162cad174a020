"""Reading model repositories: what a revision holds, small files of it, and all that is needed.

Everything goes through huggingface_hub, so proxies, tokens and mirrors work as its users know.
Revisions are always pinned: a branch is resolved once, to the 40 digits of a commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public, not in __all__
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

from utilities.hub_download import CHUNK_BYTES, Progress, corrupt, fetch_files
from utilities.hub_errors import (
    FileMissingError,
    HubUnreachableError,
    RepositoryRenamedError,
    RevisionMissingError,
    TooLargeError,
    gated,
    translated,
)
from utilities.hub_snapshot import RepoFile, RepoSnapshot, has_digest, is_pinned, model_files
from utilities.settings import HubSettings

MAX_REPOSITORY_BYTES = 18 * 10**9
METADATA_TIMEOUT = 15.0
"""Seconds that the hub may take to answer about metadata or to send more of a small file."""


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
        content = bytearray()
        with self._opened(snapshot, path, 0) as response:
            for chunk in response.iter_bytes(CHUNK_BYTES):
                content += chunk
                if len(content) > file.size:
                    break
        if not has_digest(file, [bytes(content)]):
            raise corrupt(snapshot, path)
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
        snapshot = self.model_snapshot(repo_id, revision, max_bytes=max_bytes)
        self.fetch(snapshot, into, progress=progress)
        return into

    def model_snapshot(
        self, repo_id: str, revision: str, *, max_bytes: int = MAX_REPOSITORY_BYTES
    ) -> RepoSnapshot:
        """The model's files, and no others, of a pinned revision that anybody may download.

        Reads metadata only. Raises TooLargeError and what ``resolve_revision`` raises; ValueError
        for a revision that is not pinned.
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
        model = replace(snapshot, files=model_files(snapshot))
        if model.total_bytes > max_bytes:
            raise _too_large(f"the model in {repo_id}@{revision}", model.total_bytes, max_bytes)
        return model

    def fetch(
        self, snapshot: RepoSnapshot, into: Path, *, progress: Progress | None = None
    ) -> None:
        """Make the files of ``snapshot`` be in the directory ``into``, as ``download_revision``.

        Raises DiskFullError, StorageError, FileMissingError and HubUnreachableError.
        """
        with translated(snapshot.repo_id, snapshot.revision):
            into.mkdir(parents=True, exist_ok=True)
            fetch_files(self._opened, snapshot, snapshot.files, into, progress)

    @contextmanager
    def _opened(self, snapshot: RepoSnapshot, path: str, start: int) -> Iterator[httpx2.Response]:
        url = hf_hub_url(
            snapshot.repo_id, path, revision=snapshot.revision, endpoint=self._endpoint
        )
        headers = {**build_hf_headers(token=self._token), "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with (
            translated(snapshot.repo_id, snapshot.revision),
            get_session().stream(
                "GET", url, headers=headers, follow_redirects=True, timeout=METADATA_TIMEOUT
            ) as response,
        ):
            hf_raise_for_status(response)
            yield response


def open_hub(settings: HubSettings) -> Hub:
    """The hub that the settings name."""
    token = settings.token
    return Hub(endpoint=settings.endpoint, token=token.get_secret_value() if token else None)


def _file(repo_id: str, sibling: RepoSibling) -> RepoFile:
    if sibling.size is None or sibling.size < 0 or sibling.blob_id is None:
        raise HubUnreachableError(
            f"the hub does not tell the size of {sibling.rfilename!r:.200} in {repo_id}",
            "Check that HF_ENDPOINT names a model hub.",
        )
    sha256 = sibling.lfs.sha256 if sibling.lfs is not None else None
    return RepoFile(sibling.rfilename, sibling.size, sibling.blob_id, sha256)


def _too_large(what: str, size: int, limit: int) -> TooLargeError:
    return TooLargeError(
        f"{what} is {size:,} bytes, more than the {limit:,} that are allowed",
        "Publish a smaller one.",
    )
