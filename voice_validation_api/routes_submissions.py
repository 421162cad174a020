"""Endpoints about one submission: its scores, samples, attempts and recordings."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse

from scoring.contract import Hex64
from voice_validation_api.api_errors import ApiError, error_responses
from voice_validation_api.api_models import SubmissionAnswer
from voice_validation_api.api_services import Services, ServicesOf
from voice_validation_api.audio_base import Clip
from voice_validation_api.byte_ranges import UnsatisfiableRangeError, parse_range
from voice_validation_api.paging import Limit, Offset
from voice_validation_api.records import Submission, SubmissionId

log = logging.getLogger(__name__)
router = APIRouter(
    prefix="/submissions", tags=["submissions"], responses=error_responses(404, 422, 503)
)

_Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
_PromptIndex = Annotated[int, Path(ge=0, le=2**31 - 1)]
_PromptsDigest = Annotated[
    Hex64 | None,
    Query(description="What was scored on these prompts; by default what was scored last."),
]


@router.get("/{submission_id}", summary="One submission")
def submission(
    submission_id: _Id,
    services: ServicesOf,
    limit: Limit = 100,
    offset: Offset = 0,
    prompts_digest: _PromptsDigest = None,
) -> SubmissionAnswer:
    """Scores, attempts and failure of a submission; ``limit`` and ``offset`` page its samples."""
    row = find_submission(services, submission_id)
    store = services.store
    return SubmissionAnswer.of(
        row,
        store.result(row.id, prompts_digest=prompts_digest),
        store.attempts_shown(row.id),
        store.samples(row.id, limit=limit, offset=offset, prompts_digest=prompts_digest),
    )


@router.get(
    "/{submission_id}/audio/{prompt_index}",
    summary="One recording",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"audio/wav": {}}, "description": "A WAV file."},
        206: {"content": {"audio/wav": {}}, "description": "The part that was asked for."},
        **error_responses(416),
    },
)
def audio(
    submission_id: _Id,
    prompt_index: _PromptIndex,
    services: ServicesOf,
    request: Request,
    prompts_digest: _PromptsDigest = None,
) -> StreamingResponse:
    """What the model said to one prompt. A range of bytes may be asked for."""
    clip = find_clip(services, submission_id, prompt_index, prompts_digest)
    # There is no validator that If-Range could name, and then everything is sent.
    header = None if "If-Range" in request.headers else request.headers.get("Range")
    part = _part(header, clip)
    start, stop = part or (0, clip.size_bytes)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(stop - start),
        "X-Content-Type-Options": "nosniff",
    }
    if part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{clip.size_bytes}"
    return StreamingResponse(
        clip.chunks(start, stop),
        status_code=206 if part else 200,
        media_type="audio/wav",
        headers=headers,
    )


def find_clip(
    services: Services, submission_id: int, prompt_index: int, prompts_digest: str | None
) -> Clip:
    """The recording of one prompt. Raises ApiError where there is none."""
    row = find_submission(services, submission_id)
    sample = services.store.sample(row.id, prompt_index, prompts_digest=prompts_digest)
    try:
        clip = services.audio.find(sample.audio) if sample and sample.audio else None
    except OSError as error:
        log.warning("submission=%s prompt=%s: %s", row.id, prompt_index, error)
        raise ApiError(
            503,
            "AUDIO_STORE_UNAVAILABLE",
            "the store of recordings does not answer",
            "Try again in a minute.",
        ) from error
    if clip is None:
        raise ApiError(
            404,
            "AUDIO_NOT_FOUND",
            f"submission {submission_id} has no recording of prompt {prompt_index}",
            f"GET /submissions/{submission_id} lists the recordings that there are.",
        )
    return clip


def _part(header: str | None, clip: Clip) -> tuple[int, int] | None:
    try:
        return parse_range(header, clip.size_bytes)
    except UnsatisfiableRangeError as error:
        refusal = ApiError(
            416, "RANGE_NOT_SATISFIABLE", str(error), "Ask for bytes before the end."
        )
        refusal.headers = {"Content-Range": f"bytes */{clip.size_bytes}"}
        raise refusal from error


def find_submission(services: Services, submission_id: int) -> Submission:
    """A submission that is there. Raises ApiError."""
    row = services.store.get(SubmissionId(submission_id))
    if row is None:
        raise ApiError(
            404,
            "SUBMISSION_NOT_FOUND",
            f"there is no submission {submission_id}",
            "GET /recent_entries lists submissions.",
        )
    return row
