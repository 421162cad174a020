"""The rules of admission: what a submission and its repository must be. Pure.

Every rule has a name, which its refusals carry. A repository is judged from the hub's metadata and
from its small JSON files; no model is opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, TypeAlias

from utilities.admission_architecture import ARCHITECTURE, problems_of_parler_config
from utilities.errors import SubnetError
from utilities.hub import MAX_REPOSITORY_BYTES
from utilities.hub_snapshot import RepoFile, RepoSnapshot
from utilities.model_reference import ModelReference, submission_hash

CONFIG: Final = "config.json"
SINGLE_WEIGHTS: Final = "model.safetensors"
WEIGHTS_INDEX: Final = "model.safetensors.index.json"
MAX_FILES: Final = 1_000
MAX_DOCUMENTS: Final = 16
MAX_CONFIG_BYTES: Final = 2**20
MAX_INDEX_BYTES: Final = 8 * 2**20
MIN_SAFETENSORS_BYTES: Final = 8 + 2
"""A header's length and an empty header."""

CODE_SUFFIXES: Final = frozenset(
    {".py", ".pyc", ".pyd", ".pyo", ".pyw", ".pyx", ".pyz", ".egg", ".whl"}
    | {".so", ".dll", ".dylib", ".exe"}
)
PICKLE_SUFFIXES: Final = frozenset(
    {".bin", ".ckpt", ".dill", ".joblib", ".mar", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}
    | {".tar", ".zip", ".gz", ".7z"}
)
"""Files that are pickles, or that may hold them."""
OTHER_WEIGHTS_SUFFIXES: Final = frozenset(
    {".ggml", ".gguf", ".h5", ".hdf5", ".keras", ".mlmodel", ".msgpack", ".onnx", ".pb", ".tflite"}
)


Rule: TypeAlias = Literal[
    "architecture",
    "config-present",
    "config-readable",
    "config-size",
    "file-count",
    "flat-weights",
    "no-auto-map",
    "no-code",
    "no-pickle",
    "only-safetensors",
    "repository-name",
    "repository-not-gated",
    "repository-public",
    "repository-size",
    "revision-exists",
    "submission-hash",
    "weights-complete",
    "weights-present",
]


class RefusedError(SubnetError):
    """A submission breaks a rule."""

    code: ClassVar[str] = "SUBMISSION_REFUSED"

    def __init__(self, rule: Rule, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.rule: Rule = rule

    @property
    def detail(self) -> str:
        """What the miner reads."""
        return f"[{self.rule}] {self.message}. {self.remedy}"


def is_document(path: str) -> bool:
    """Whether admission reads that file: a config of the top folder, or the index of shards."""
    in_top_folder = "/" not in path
    return in_top_folder and (path == WEIGHTS_INDEX or path.lower().endswith("config.json"))


def document_limit(path: str) -> int:
    """How many bytes such a file may have."""
    return MAX_INDEX_BYTES if path == WEIGHTS_INDEX else MAX_CONFIG_BYTES


def check_documents(
    snapshot: RepoSnapshot, documents: Mapping[str, bytes], *, competition_id: str
) -> None:
    """The rules that need the content of the small files, ``documents`` by path.

    ``documents`` holds those that ``is_document`` picks. Raises RefusedError.
    """
    parsed = {path: _parsed(path, content) for path, content in documents.items()}
    check_weights(snapshot, parsed.get(WEIGHTS_INDEX))
    check_no_auto_map(parsed)
    check_architecture(parsed.get(CONFIG), competition_id=competition_id)


def check_hash(reference: ModelReference) -> None:
    """Rule submission-hash."""
    expected = submission_hash(
        reference.namespace, reference.name, reference.config_template, reference.hotkey
    )
    if reference.submission_hash != expected:
        raise _refused(
            "submission-hash",
            f"the submission hash is {reference.submission_hash}, but namespace, name, "
            f"config_template and hotkey give {expected}",
            "Compute it over 'namespace name config_template hotkey'",
        )


def check_revision(snapshot: RepoSnapshot, reference: ModelReference) -> None:
    """Rule revision-exists: what the hub gave is the commit that was asked for."""
    if reference.revision not in {None, snapshot.revision}:
        raise RefusedError(
            "revision-exists",
            f"{snapshot.repo_id} has no commit {reference.revision}; the hub gave "
            f"{snapshot.revision}",
            "Commit the full id of a commit, not of another git object.",
        )


def check_access(snapshot: RepoSnapshot) -> None:
    """Rules repository-public and repository-not-gated."""
    if snapshot.private:
        raise RefusedError(
            "repository-public",
            f"the repository {snapshot.repo_id} is private",
            "Make it public and commit again.",
        )
    if snapshot.gated:
        raise RefusedError(
            "repository-not-gated",
            f"the repository {snapshot.repo_id} is gated",
            "Switch off access requests in its settings and commit again.",
        )


def check_files(snapshot: RepoSnapshot) -> None:
    """Rules about names and sizes: repository-size to flat-weights. Raises RefusedError."""
    if snapshot.total_bytes > MAX_REPOSITORY_BYTES:
        raise _refused(
            "repository-size",
            f"the repository holds {snapshot.total_bytes:,} bytes, more than the "
            f"{MAX_REPOSITORY_BYTES:,} that are allowed",
            "Remove what the model does not need",
        )
    if len(snapshot.files) > MAX_FILES:
        raise _refused(
            "file-count",
            f"the repository holds {len(snapshot.files)} files, more than {MAX_FILES}",
            "Remove what the model does not need",
        )
    if sum(is_document(file.path) for file in snapshot.files) > MAX_DOCUMENTS:
        raise _refused(
            "file-count",
            f"the repository holds more than {MAX_DOCUMENTS} files named *config.json",
            "Remove what the model does not need",
        )
    for file in snapshot.files:
        if is_document(file.path) and file.size > document_limit(file.path):
            raise _refused_file(
                "config-size", file, f"is larger than {document_limit(file.path):,} bytes"
            )
        suffix = PurePosixPath(file.path).suffix.lower()
        if suffix in CODE_SUFFIXES:
            raise _refused_file("no-code", file, "is a program; no code of a repository is run")
        if suffix in PICKLE_SUFFIXES:
            raise _refused_file("no-pickle", file, "is a pickle or may hold one")
        if suffix in OTHER_WEIGHTS_SUFFIXES:
            raise _refused_file("only-safetensors", file, "holds weights that are not safetensors")
        if suffix == ".safetensors" and "/" in file.path:
            raise _refused_file("flat-weights", file, "holds weights outside the top folder")


def check_weights(snapshot: RepoSnapshot, index: dict[str, Any] | None) -> None:
    """Rules weights-present and weights-complete."""
    present = {f.path: f.size for f in snapshot.files if f.path.lower().endswith(".safetensors")}
    if not present:
        raise _refused(
            "weights-present",
            f"{snapshot.repo_id}@{snapshot.revision} holds no safetensors file",
            "Save the model with safe_serialization=True and upload it",
        )
    expected = {SINGLE_WEIGHTS} if index is None else _shards(index)
    if missing := expected - present.keys():
        raise _refused(
            "weights-complete",
            f"{min(missing)!r:.200} is missing beside the files that are there",
            f"Upload {SINGLE_WEIGHTS}, or every shard that {WEIGHTS_INDEX} names",
        )
    if extra := present.keys() - expected:
        raise _refused(
            "weights-complete",
            f"{min(extra)!r:.200} belongs to no model: it is neither {SINGLE_WEIGHTS} nor named "
            f"by {WEIGHTS_INDEX}",
            "Remove it; the model is all safetensors files together",
        )
    for path, size in present.items():
        if size < MIN_SAFETENSORS_BYTES:
            raise _refused("weights-complete", f"{path!r:.200} is empty", "Upload it again")


def check_no_auto_map(parsed: Mapping[str, Any]) -> None:
    """Rule no-auto-map."""
    for path, value in parsed.items():
        if path != WEIGHTS_INDEX and _has_key(value, "auto_map"):
            raise _refused(
                "no-auto-map",
                f"{path!r:.200} has an auto_map, which asks for code of the repository",
                "Remove it: no code of a repository is run",
            )


def check_architecture(config: dict[str, Any] | None, *, competition_id: str) -> None:
    """Rules config-present and architecture."""
    if config is None:
        raise _refused("config-present", f"there is no {CONFIG}", "Upload the model's config")
    if (problems := _ARCHITECTURES[competition_id](config)) is not None:
        raise _refused(
            "architecture",
            f"{CONFIG} is not that of {ARCHITECTURE}: {problems}"[:1_000],
            "Fine-tune the base model without changing its architecture",
        )


_ARCHITECTURES: Final[Mapping[str, Callable[[dict[str, Any]], str | None]]] = MappingProxyType(
    {"tts": problems_of_parler_config}
)


def _parsed(path: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refused("config-readable", f"{path!r:.200} is not JSON", "Repair it") from error
    if not isinstance(value, dict):
        raise _refused("config-readable", f"{path!r:.200} is not a JSON object", "Repair it")
    return value


def _shards(index: dict[str, Any]) -> set[str]:
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise _refused(
            "weights-complete", f"{WEIGHTS_INDEX} has no weight_map", "Save the model again"
        )
    return {str(shard) for shard in weight_map.values()}


def _has_key(document: object, key: str) -> bool:
    # Not recursive: a document may be nested deeper than Python calls.
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if key in value:
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def _refused_file(rule: Rule, file: RepoFile, why: str) -> RefusedError:
    return _refused(
        rule,
        f"the repository holds {file.path!r:.200}, which {why}",
        "Remove it and commit the new revision",
    )


def _refused(rule: Rule, message: str, remedy: str) -> RefusedError:
    return RefusedError(rule, message, f"{remedy}.")
