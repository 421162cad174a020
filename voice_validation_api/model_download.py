"""From a submission to its model on this machine: the hub's pinned revision, through the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from utilities.errors import SubnetError
from utilities.hub import Hub
from utilities.hub_download import is_whole
from utilities.hub_errors import (
    DiskFullError,
    FileMissingError,
    HubUnreachableError,
    InvalidRepositoryNameError,
    RepositoryGatedError,
    RepositoryMissingError,
    RepositoryRenamedError,
    RevisionMissingError,
    StorageError,
    TooLargeError,
)
from utilities.hub_snapshot import RepoSnapshot
from voice_validation_api.evaluation import (
    EvaluationError,
    InterruptedEvaluationError,
    disk_errors,
)
from voice_validation_api.failures import ServiceCode
from voice_validation_api.model_cache import AlteredModelError, ModelCache, Wanted

# The first class that an error is an instance of decides.
_HUB_CODES: tuple[tuple[type[SubnetError], ServiceCode], ...] = (
    (HubUnreachableError, ServiceCode.HUB_UNREACHABLE),
    (DiskFullError, ServiceCode.WORKER_DISK_FULL),
    (StorageError, ServiceCode.WORKER_ERROR),
    (RepositoryGatedError, ServiceCode.REPOSITORY_NOT_PUBLIC),
    (RevisionMissingError, ServiceCode.REVISION_NOT_FOUND),
    (RepositoryMissingError, ServiceCode.REPOSITORY_NOT_FOUND),
    (RepositoryRenamedError, ServiceCode.REPOSITORY_NOT_FOUND),
    (InvalidRepositoryNameError, ServiceCode.REPOSITORY_NOT_FOUND),
    (TooLargeError, ServiceCode.MODEL_REFUSED),
    (FileMissingError, ServiceCode.MODEL_REFUSED),
)


@contextmanager
def held_model(
    hub: Hub,
    cache: ModelCache,
    repo_id: str,
    revision: str,
    *,
    max_bytes: int,
    interrupted: Callable[[], bool],
) -> Iterator[Path]:
    """The directory that holds a pinned revision, to be read until the block ends.

    The hub is asked even when the model is in the cache: one that is no longer public is not
    evaluated. Raises EvaluationError and InterruptedEvaluationError.
    """

    def check(*_progress: int) -> None:
        if interrupted():
            raise InterruptedEvaluationError

    with ExitStack() as use:
        with _evaluation_errors():
            snapshot = hub.model_snapshot(repo_id, revision, max_bytes=max_bytes)
            wanted = Wanted(
                key=_key(snapshot),
                name=f"{repo_id}@{revision}",
                size_bytes=snapshot.total_bytes,
                fetch=lambda into: hub.fetch(snapshot, into, progress=check),
                is_whole=partial(is_whole, snapshot),
            )
            model = use.enter_context(cache.held(wanted, check))
        yield model
        with _evaluation_errors():
            use.close()


def _key(snapshot: RepoSnapshot) -> str:
    # One commit may be in a repository and its copies; the hub's answer is about one of them.
    repository = hashlib.sha256(snapshot.repo_id.encode()).hexdigest()[:16]
    return f"{snapshot.revision}-{repository}"


@contextmanager
def _evaluation_errors() -> Iterator[None]:
    try:
        with disk_errors():
            yield
    except AlteredModelError as error:
        raise EvaluationError(ServiceCode.WORKER_ERROR, "", detail=str(error)) from error
    except SubnetError as error:
        code = next((code for kind, code in _HUB_CODES if isinstance(error, kind)), None)
        if code is None:
            raise
        raise EvaluationError(code, f"{error.message}. {error.remedy}") from error
