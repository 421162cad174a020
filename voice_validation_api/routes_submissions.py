"""Endpoints about one submission: its scores, samples, attempts and recordings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from voice_validation_api.api_errors import ApiError, error_responses
from voice_validation_api.api_models import SubmissionAnswer
from voice_validation_api.api_services import Services, ServicesOf
from voice_validation_api.audio_store import AudioStore
from voice_validation_api.paging import Limit, Offset
from voice_validation_api.records import Submission, SubmissionId

router = APIRouter(
    prefix="/submissions", tags=["submissions"], responses=error_responses(404, 422, 503)
)

_Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
_PromptIndex = Annotated[int, Path(ge=0, le=2**31 - 1)]


@router.get("/{submission_id}", summary="One submission")
def submission(
    submission_id: _Id, services: ServicesOf, limit: Limit = 100, offset: Offset = 0
) -> SubmissionAnswer:
    """Scores, attempts and failure of a submission; ``limit`` and ``offset`` page its samples."""
    row = _find(services, submission_id)
    store = services.store
    return SubmissionAnswer.of(
        row,
        store.result(row.id),
        store.attempts_shown(row.id),
        store.samples(row.id, limit=limit, offset=offset),
    )


@router.get(
    "/{submission_id}/audio/{prompt_index}",
    summary="One recording",
    response_class=FileResponse,
    responses={200: {"content": {"audio/wav": {}}, "description": "A WAV file."}},
)
def audio(submission_id: _Id, prompt_index: _PromptIndex, services: ServicesOf) -> FileResponse:
    """What the model said to one prompt. Ranges of bytes may be asked for."""
    row = _find(services, submission_id)
    sample = services.store.sample(row.id, prompt_index)
    store = AudioStore(services.settings.audio_dir)
    path = sample and sample.audio and store.find(sample.audio)
    if not path:
        raise ApiError(
            404,
            "AUDIO_NOT_FOUND",
            f"submission {submission_id} has no recording of prompt {prompt_index}",
            f"GET /submissions/{submission_id} lists the recordings that there are.",
        )
    return FileResponse(path, media_type="audio/wav", headers={"X-Content-Type-Options": "nosniff"})


def _find(services: Services, submission_id: int) -> Submission:
    row = services.store.get(SubmissionId(submission_id))
    if row is None:
        raise ApiError(
            404,
            "SUBMISSION_NOT_FOUND",
            f"there is no submission {submission_id}",
            "GET /recent_entries lists submissions.",
        )
    return row
