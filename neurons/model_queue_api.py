"""From the ledger to the validation API: submissions, and the list of miners."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from neurons.model_queue_chain import Observation
from neurons.model_queue_ledger import Ledger, Recorded, State
from neurons.service_api import (
    ServiceApi,
    ServiceError,
    ServiceRefusedError,
    ServiceUnavailableError,
)
from utilities.chain import Commitment, Neuron
from utilities.model_reference import (
    COMPETITIONS,
    InvalidReferenceError,
    ModelReference,
    parse_reference,
)

MAX_FAILURES: Final = 3
"""Submissions that the API may fail to take in one pass before it is left alone."""
MAX_REASON_CHARS: Final = 200

_FINAL: Final = frozenset({"REFERENCE_INVALID", "REQUEST_INVALID", "SUBMISSION_HASH_WRONG"})
"""Answers that say something about the submission. Any other refusal is about us."""

log = logging.getLogger("model_queue")


class _Answer(BaseModel):
    id: int | None
    status: str


class ModelsApi:
    """The endpoints of the validation API that take the admin key."""

    def __init__(self, api: ServiceApi, admin_key: SecretStr) -> None:
        self._api = api
        self._headers = {"admin-key": admin_key.get_secret_value()}
        self._posted: dict[str, bytes] = {}

    def submit_pending(self, ledger: Ledger) -> None:
        """Hand every pending commitment over. Raises ServiceError for what has to be tried again,
        LedgerError."""
        failures: list[ServiceError] = []
        for commitment in ledger.in_state(State.PENDING):
            failure = self._try_to_submit(commitment, ledger)
            if failure is not None:
                failures.append(failure)
            if len(failures) == MAX_FAILURES:
                break
        if failures:
            raise failures[0]

    def post_minerboard(self, now: Observation) -> None:
        """Set the list of miners, where it changed since it was last set. Raises ServiceError."""
        for competition_id in sorted(set(COMPETITIONS.values())):
            entries = minerboard(now, competition_id)
            body = _json({"competition_id": competition_id, "entries": entries})
            if self._posted.get(competition_id) != body:
                self._api.post("/minerboard_update", body, self._headers)
                self._posted[competition_id] = body
                log.info("minerboard: competition=%s miners=%d", competition_id, len(entries))

    def _try_to_submit(self, commitment: Recorded, ledger: Ledger) -> ServiceError | None:
        """Why it has to be tried again, if so."""
        try:
            body = _json(submission(commitment))
            answer = self._api.post_for("/get_or_create_model", _Answer, body, self._headers)
        except ServiceUnavailableError as error:
            ledger.count_attempt(commitment, error.message)
            return error
        except ServiceRefusedError as error:
            if error.reason not in _FINAL:
                raise
            _end(ledger, commitment, State.REFUSED, error.message)
        except InvalidReferenceError as error:
            # Recorded under rules that have changed since.
            _end(ledger, commitment, State.MALFORMED, f"{error.field}: {error.message}")
        else:
            _end(ledger, commitment, State.SUBMITTED, f"{answer.status} as {answer.id}")
        return None


def submission(commitment: Recorded) -> dict[str, Any]:
    """The request that submits a well-formed commitment, with the evidence that the chain gives."""
    reference = parse_reference(commitment.text, committed_by=commitment.hotkey)
    return {
        "hash": reference.submission_hash,
        "repo_namespace": reference.namespace,
        "repo_name": reference.name,
        "config_template": reference.config_template,
        "competition_id": reference.competition_id,
        "hotkey": reference.hotkey,
        "revision": reference.revision,
        "weights_digest": reference.weights_digest,
        "block": commitment.block,
        "block_hash": commitment.block_hash,
        "sealed_block": commitment.sealed_block,
        "commitment": commitment.text,
    }


def minerboard(now: Observation, competition_id: str) -> list[dict[str, Any]]:
    """The registered hotkeys that committed something, by uid. What cannot be read yet, or by
    nobody, is on the list of every competition."""
    by_hotkey = {entry.hotkey: entry for entry in now.commitments}
    entries = []
    for neuron in now.metagraph.neurons:
        commitment = by_hotkey.get(neuron.hotkey)
        if commitment is None:
            continue
        reference, problem = _read(commitment)
        if reference is None or reference.competition_id == competition_id:
            entries.append(_entry(neuron, commitment, reference, problem))
    return entries


def _entry(
    neuron: Neuron, commitment: Commitment, reference: ModelReference | None, problem: str
) -> dict[str, Any]:
    details = {"coldkey": neuron.coldkey, "commitment": commitment.status}
    if reference is not None:
        details["repository"] = reference.repo_id
    if problem:
        details["problem"] = problem[:MAX_REASON_CHARS]
    return {
        "uid": neuron.uid,
        "hotkey": neuron.hotkey,
        "hash": None if reference is None else reference.submission_hash,
        "block": commitment.block,
        "details": details,
    }


def _read(commitment: Commitment) -> tuple[ModelReference | None, str]:
    if commitment.text is None:
        return None, ""
    try:
        return parse_reference(commitment.text, committed_by=commitment.hotkey), ""
    except InvalidReferenceError as error:
        return None, f"{error.field}: {error.message}"


def _end(ledger: Ledger, commitment: Recorded, state: State, reason: str) -> None:
    ledger.set_state(commitment, state, reason)
    log.info(
        "%s: hotkey=%s block=%d answer=%r",
        *(state.value.lower(), commitment.hotkey, commitment.block, reason),
    )


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
