"""What can go wrong with the model hub, and how huggingface_hub's errors become ours."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from utilities.errors import SubnetError

_RETRY = "Try again later. If it lasts, check HF_ENDPOINT, the network and the hub's status page."


class HubError(SubnetError):
    """The hub, or a repository on it, does not give what was asked for."""


class InvalidRepositoryNameError(HubError):
    """No repository can have that name."""

    code: ClassVar[str] = "REPOSITORY_NAME_INVALID"


class RepositoryMissingError(HubError):
    """The repository does not exist, is private, or was taken down: the hub says no more."""

    code: ClassVar[str] = "REPOSITORY_NOT_FOUND"


class RepositoryRenamedError(HubError):
    """The repository has another name now, or is spelt differently."""

    code: ClassVar[str] = "REPOSITORY_RENAMED"


class RepositoryGatedError(HubError):
    """The repository asks its readers for permission."""

    code: ClassVar[str] = "REPOSITORY_GATED"


class RevisionMissingError(HubError):
    """The repository exists and the revision does not."""

    code: ClassVar[str] = "REVISION_NOT_FOUND"


class FileMissingError(HubError):
    """The revision exists and the file does not."""

    code: ClassVar[str] = "FILE_NOT_FOUND"


class TooLargeError(HubError):
    """More bytes than are allowed."""

    code: ClassVar[str] = "TOO_LARGE"


class HubUnreachableError(HubError):
    """The hub does not answer, or not sensibly. It says nothing about the repository."""

    code: ClassVar[str] = "HUB_UNREACHABLE"
    transient: ClassVar[bool] = True


class HubTokenError(HubUnreachableError):
    """The hub refuses our token."""

    code: ClassVar[str] = "HUB_TOKEN_REFUSED"


class StorageError(SubnetError):
    """The local disk does not take what is downloaded."""

    code: ClassVar[str] = "STORAGE_ERROR"
    transient: ClassVar[bool] = True


class DiskFullError(StorageError):
    """The local disk is full."""

    code: ClassVar[str] = "DISK_FULL"


@contextmanager
def translated(repo_id: str, revision: str | None) -> Iterator[None]:
    """Turn what huggingface_hub raises into the errors of this module."""
    at = f"{repo_id}@{revision}" if revision else repo_id
    try:
        yield
    except HFValidationError as error:
        raise InvalidRepositoryNameError(
            f"{repo_id!r:.200} cannot name a repository: {error}",
            "Give the namespace and the name as the hub shows them.",
        ) from error
    except GatedRepoError as error:
        raise gated(repo_id) from error
    except (RepositoryNotFoundError, DisabledRepoError) as error:
        raise RepositoryMissingError(
            f"the repository {repo_id} does not exist or is not public",
            "Check the spelling and make the repository public.",
        ) from error
    except RevisionNotFoundError as error:
        raise RevisionMissingError(
            f"{repo_id} has no revision {revision}",
            "Give the full 40-digit id of a commit that is still in the repository.",
        ) from error
    except LocalEntryNotFoundError as error:
        # It means: no connection, and nothing cached either.
        raise HubUnreachableError(f"the hub does not answer about {at}", _RETRY) from error
    except EntryNotFoundError as error:
        raise FileMissingError(f"{at}: {error}", "Upload the file and commit again.") from error
    except HfHubHTTPError as error:
        raise _from_status(error, at) from error
    except (httpx2.HTTPError, FileMetadataError, ConnectionError) as error:
        raise HubUnreachableError(
            f"the hub cannot be reached about {at}: {type(error).__name__}: {error}", _RETRY
        ) from error
    except OSError as error:
        raise _from_os_error(error, at) from error


def gated(repo_id: str) -> RepositoryGatedError:
    """The error for a gated repository."""
    return RepositoryGatedError(
        f"the repository {repo_id} is gated: its files cannot be read without permission",
        "Switch off access requests in the repository's settings.",
    )


def _from_status(error: HfHubHTTPError, at: str) -> HubError:
    status = error.response.status_code
    if status == httpx2.codes.UNAUTHORIZED:
        return HubTokenError(f"the hub refuses our token for {at}", "Renew or unset HF_TOKEN.")
    return HubUnreachableError(f"the hub answers {status} about {at}", _RETRY)


def _from_os_error(error: OSError, at: str) -> SubnetError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(
            f"the disk is full: {at} cannot be stored", "Free some space and try again."
        )
    if error.errno is None:
        # huggingface_hub's way to say that fewer bytes came than were announced.
        return HubUnreachableError(f"the download of {at} broke off: {error}", _RETRY)
    return StorageError(
        f"{at} cannot be stored: {error}", "Check the directory's path and permissions."
    )
