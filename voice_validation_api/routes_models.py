"""Endpoints about one model, named as its commitment names it: submit it, ask for its state."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from utilities.admission_rules import RefusedError, check_hash
from utilities.model_reference import ModelReference
from voice_validation_api.api_errors import ApiError, error_responses
from voice_validation_api.api_models import ModelAnswer
from voice_validation_api.api_requests import EXAMPLE_HOTKEY, ModelQuery, SubmissionRequest
from voice_validation_api.api_services import Services, ServicesOf
from voice_validation_api.auth import require_admin
from voice_validation_api.records import Submission
from voice_validation_api.registration import find_submission, register

router = APIRouter(tags=["models"], responses=error_responses(400, 422, 503))


@router.post(
    "/get_or_create_model",
    dependencies=[Depends(require_admin)],
    responses=error_responses(401, 403, 413),
    summary="Submit a model",
)
@router.post(
    "/ensure_model",
    dependencies=[Depends(require_admin)],
    responses=error_responses(401, 403, 413),
    summary="Submit a model (older name)",
)
def get_or_create_model(request: SubmissionRequest, services: ServicesOf) -> ModelAnswer:
    """Admit a committed model, or find the submission that is there already.

    The repository's metadata are checked; a model that breaks a rule is answered with status FAILED
    and the rule. When the hub cannot be asked the answer is 503 and nothing is recorded.
    """
    reference = _checked(request.reference())
    row = register(services.store, services.hub, reference, request.evidence)
    return _state_of(row, services)


@router.post("/evaluate_model", summary="The state of a model")
def evaluate_model(request: ModelQuery, services: ServicesOf) -> ModelAnswer:
    """The newest submission of a model. Asking starts nothing: submitting is the operator's."""
    return _state(request, services)


def _model_query(
    repo_namespace: str,
    repo_name: str,
    hash: str,  # noqa: A002  the parameter's name on the wire
    hotkey: Annotated[str, Query(examples=[EXAMPLE_HOTKEY])],
    config_template: str | None = None,
    chat_template_type: Annotated[
        str | None, Query(deprecated=True, description="The older name of config_template.")
    ] = None,
    competition_id: str = "tts",
) -> ModelQuery:
    try:
        return ModelQuery(
            hash=hash,
            repo_namespace=repo_namespace,
            repo_name=repo_name,
            config_template=config_template or chat_template_type or "default",
            competition_id=competition_id,
            hotkey=hotkey,
        )
    except ValidationError as error:
        problems = [{**problem, "loc": ("query", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems) from error


@router.get("/model_submission_details", summary="The state of a model")
def model_submission_details(
    query: Annotated[ModelQuery, Depends(_model_query)], services: ServicesOf
) -> ModelAnswer:
    """The newest submission of a model; status NO_METADATA if it was never submitted."""
    return _state(query, services)


def _state(query: ModelQuery, services: Services) -> ModelAnswer:
    reference = _checked(query.reference())
    row = find_submission(services.store, reference)
    return ModelAnswer.absent(reference) if row is None else _state_of(row, services)


def _state_of(row: Submission, services: Services) -> ModelAnswer:
    return ModelAnswer.of(row, services.store.result(row.id))


def _checked(reference: ModelReference) -> ModelReference:
    """``reference`` if its hash is right. Raises ApiError.

    With a wrong hash the fields do not belong together, and nobody knows whose submission it would
    be: it is the caller's mistake and no miner's, so nothing is recorded.
    """
    try:
        check_hash(reference)
    except RefusedError as refusal:
        raise ApiError(400, "SUBMISSION_HASH_WRONG", refusal.message, refusal.remedy) from refusal
    return reference
