"""Admission: asks the hub about a submission and lets the rules judge. No model is downloaded.

The service admits with it, and miners ask it before they commit.
"""

from __future__ import annotations

from utilities.admission_rules import (
    RefusedError,
    Rule,
    check_access,
    check_documents,
    check_files,
    check_revision,
    document_limit,
    is_document,
)
from utilities.hub import Hub
from utilities.hub_errors import (
    HubError,
    RepositoryGatedError,
    RepositoryRenamedError,
    RevisionMissingError,
)
from utilities.hub_snapshot import RepoSnapshot
from utilities.model_reference import ModelReference


def admit(hub: Hub, reference: ModelReference) -> RepoSnapshot:
    """The snapshot, at a pinned revision, of an admissible submission.

    Without a revision in the reference it is that of the newest commit. The submission hash is the
    caller's to check (``check_hash``). Raises RefusedError, and HubUnreachableError when the hub
    cannot tell.
    """
    try:
        snapshot = hub.resolve_revision(reference.namespace, reference.name, reference.revision)
        check_revision(snapshot, reference)
        check_access(snapshot)
        check_files(snapshot)
        documents = {
            file.path: hub.read_small_file(snapshot, file.path, max_bytes=document_limit(file.path))
            for file in snapshot.files
            if is_document(file.path)
        }
    except HubError as error:
        if error.transient:
            raise
        raise _refusal(error) from error
    check_documents(snapshot, documents, competition_id=reference.competition_id)
    return snapshot


def _refusal(error: HubError) -> RefusedError:
    """What a definite answer of the hub means for the submission."""
    rule: Rule = "repository-public"
    if isinstance(error, RepositoryGatedError):
        rule = "repository-not-gated"
    elif isinstance(error, RevisionMissingError):
        rule = "revision-exists"
    elif isinstance(error, RepositoryRenamedError):
        rule = "repository-name"
    return RefusedError(rule, error.message, error.remedy)
