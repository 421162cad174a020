"""A model in a directory of this machine: judged as admission would, digested, uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import ClassVar

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from scoring.weights_digest import SafetensorsError, weights_digest, weights_digest_of
from utilities.admission_rules import check_documents, check_files, document_limit, is_document
from utilities.errors import SubnetError
from utilities.hub_download import CHUNK_BYTES
from utilities.hub_errors import translated
from utilities.hub_snapshot import RepoFile, RepoSnapshot, has_digest, model_files
from utilities.model_reference import (
    TTS,
    Revision,
    WeightsDigest,
    check_revision,
    check_weights_digest,
)
from utilities.settings import HubSettings

_FORBIDDEN = frozenset({401, 403})
_NOT_YET = "not uploaded yet"


class ModelDirectoryError(SubnetError):
    """The directory does not hold what can be published."""

    code: ClassVar[str] = "MODEL_DIRECTORY_UNUSABLE"


class UploadRefusedError(SubnetError):
    """The hub does not let this account write there."""

    code: ClassVar[str] = "UPLOAD_REFUSED"


class UploadDiffersError(SubnetError):
    """The repository does not hold what the directory holds."""

    code: ClassVar[str] = "UPLOAD_DIFFERS"


@dataclass(frozen=True)
class ModelDirectory:
    """The files of a directory that make a model; ``left_out`` names the others on top."""

    path: Path
    files: tuple[Path, ...]
    left_out: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes to publish."""
        return sum(file.stat().st_size for file in self.files)


def read_directory(path: Path, repo_id: str) -> ModelDirectory:
    """What of ``path`` would be published as ``repo_id``, judged by the rules of admission.

    Raises ModelDirectoryError and RefusedError.
    """
    if not path.is_dir():
        raise ModelDirectoryError(f"{path} is not a directory", "Check --model_dir.")
    present = {entry.name: entry for entry in sorted(path.iterdir()) if entry.is_file()}
    sizes = (RepoFile(name, entry.stat().st_size, "", None) for name, entry in present.items())
    everything = RepoSnapshot(repo_id, _NOT_YET, tuple(sizes), private=False, gated=False)
    files = model_files(everything)
    snapshot = RepoSnapshot(repo_id, _NOT_YET, files, private=False, gated=False)
    check_files(snapshot)
    documents = {
        file.path: _content(present[file.path], document_limit(file.path))
        for file in files
        if is_document(file.path)
    }
    check_documents(snapshot, documents, competition_id=TTS)
    chosen = {file.path for file in files}
    return ModelDirectory(
        path=path,
        files=tuple(present[name] for name in sorted(chosen)),
        left_out=tuple(sorted(present.keys() - chosen)),
    )


def digest_directory(model: ModelDirectory) -> WeightsDigest:
    """The weights digest of what is to be published. Raises ModelDirectoryError."""
    weights = [file for file in model.files if file.suffix == ".safetensors"]
    try:
        return check_weights_digest(weights_digest_of(weights))
    except (SafetensorsError, OSError) as error:
        raise _unreadable(model.path, error) from error


def digest_download(path: Path) -> WeightsDigest:
    """The weights digest of a downloaded model. Raises ModelDirectoryError."""
    try:
        return check_weights_digest(weights_digest(path))
    except (SafetensorsError, OSError) as error:
        raise _unreadable(path, error) from error


def upload(model: ModelDirectory, repo_id: str, settings: HubSettings) -> Revision:
    """Publish the model's files, making the repository if need be; the commit that holds them.

    What an interrupted upload brought is not sent again. Nothing is deleted there. Raises
    UploadRefusedError and HubError.
    """
    token = settings.token.get_secret_value() if settings.token else None
    api = HfApi(endpoint=settings.endpoint, token=token)
    try:
        with translated(repo_id, None):
            try:
                api.create_repo(repo_id, exist_ok=True)
                commit = api.upload_folder(
                    repo_id=repo_id,
                    folder_path=model.path,
                    allow_patterns=[escape(file.name) for file in model.files],
                    commit_message="Upload model",
                )
            except (HfHubHTTPError, LocalTokenNotFoundError) as error:
                if _may_write(error):
                    raise
                raise UploadRefusedError(
                    f"the hub lets nobody write to {repo_id} without that right: {error}",
                    "Log in with `hf auth login`, or set HF_TOKEN to a token with write access to "
                    "the namespace.",
                ) from error
    except ValueError as error:
        raise UploadRefusedError(f"{repo_id}: {error}"[:1_000], "See the message.") from error
    return check_revision(str(commit.oid))


def check_uploaded(model: ModelDirectory, snapshot: RepoSnapshot) -> None:
    """Whether the repository holds the directory's files. Raises UploadDiffersError."""
    for file in model.files:
        uploaded = snapshot.find(file.name)
        if uploaded is None or not _is_same(file, uploaded):
            raise UploadDiffersError(
                f"{snapshot.repo_id}@{snapshot.revision} has another {file.name!r:.200} than "
                f"{model.path}",
                "Run the same command again; nothing was committed.",
            )


def _is_same(file: Path, uploaded: RepoFile) -> bool:
    if file.stat().st_size != uploaded.size:
        return False
    with file.open("rb") as stream:
        return has_digest(uploaded, iter(lambda: stream.read(CHUNK_BYTES), b""))


def _may_write(error: Exception) -> bool:
    return isinstance(error, HfHubHTTPError) and error.response.status_code not in _FORBIDDEN


def _content(file: Path, limit: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(limit)
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: Exception) -> ModelDirectoryError:
    return ModelDirectoryError(
        f"the model in {path} cannot be read: {error}", "Save the model again as safetensors."
    )
