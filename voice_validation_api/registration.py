"""Get or create: a committed reference becomes one row, admitted or refused.

A refusal is a row too: FAILED, with the rule that was broken. Whoever asks again gets the same row.
When the hub or the database cannot tell, nothing is recorded and the caller asks again.
"""

from __future__ import annotations

import logging
from typing import Final

from utilities.admission import admit
from utilities.admission_rules import RefusedError
from utilities.hub import Hub
from utilities.model_reference import ModelReference
from voice_validation_api.records import ChainEvidence, NewSubmission, Submission
from voice_validation_api.refusals import code_of_refusal
from voice_validation_api.store import Store

UNPINNED: Final = "unpinned"
"""The revision of a submission that was refused before one could be pinned."""

log = logging.getLogger(__name__)


def register(
    store: Store, hub: Hub, reference: ModelReference, evidence: ChainEvidence
) -> Submission:
    """The submission that ``reference``, committed as ``evidence`` says, stands for.

    A reference without a revision keeps the one that was pinned when it was first seen. One that
    was refused before a revision could be pinned is looked at anew: once its repository is there,
    it becomes a submission of its own.

    Raises HubUnreachableError and DatabaseUnavailableError.
    """
    known = find_submission(store, reference)
    if known is not None and _is_the_same(known, reference, evidence.block):
        return known
    try:
        snapshot = admit(hub, reference)
    except RefusedError as refusal:
        new = _new_submission(reference, evidence, reference.revision or UNPINNED)
        row = store.record_precheck_failure(new, code_of_refusal(refusal.rule), refusal.detail)
        log.info("submission %d of %s: refused by rule %s", row.id, row.hotkey, refusal.rule)
        return row
    size = snapshot.total_bytes
    row = store.submit(_new_submission(reference, evidence, snapshot.revision, size))
    log.info("submission %d of %s: %s is admitted", row.id, row.hotkey, row.repo_id)
    return row


def find_submission(store: Store, reference: ModelReference) -> Submission | None:
    """The newest submission under the reference's hash and names."""
    return store.newest_by_hash(
        competition_id=reference.competition_id,
        submission_hash=reference.submission_hash,
        namespace=reference.namespace,
        name=reference.name,
        config_template=reference.config_template,
        hotkey=reference.hotkey,
    )


def _is_the_same(known: Submission, reference: ModelReference, block: int) -> bool:
    if known.block != block or known.revision == UNPINNED:
        return False
    return reference.revision in {None, known.revision}


def _new_submission(
    reference: ModelReference, evidence: ChainEvidence, revision: str, size: int | None = None
) -> NewSubmission:
    return NewSubmission(
        competition_id=reference.competition_id,
        hotkey=reference.hotkey,
        block=evidence.block,
        block_hash=evidence.block_hash,
        commitment=evidence.commitment,
        sealed_block=evidence.sealed_block,
        revision=revision,
        namespace=reference.namespace,
        name=reference.name,
        config_template=reference.config_template,
        submission_hash=reference.submission_hash,
        committed_digest=reference.weights_digest,
        repository_bytes=size,
    )
