"""What pages load besides themselves: styles and scripts, outlines of recordings, news."""

from __future__ import annotations

import json
import mimetypes
from pathlib import PurePosixPath
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from scoring.contract import Hex64
from voice_validation_api.api_errors import ApiError
from voice_validation_api.audio_base import Clip
from voice_validation_api.pages.rendering import assets, assets_version
from voice_validation_api.pages.site import SiteOf
from voice_validation_api.pages.waveform import MAX_BYTES, UnreadableClipError, outline
from voice_validation_api.routes_submissions import find_clip, find_submission, submission
from voice_validation_api.store import MAX_PAGE

# Not part of the API: it changes with the pages.
router = APIRouter(include_in_schema=False)

_Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
_Digest = Annotated[Hex64 | None, Query()]

FOR_EVER: Final = "public, max-age=31536000, immutable"


@router.get("/assets/{version}/{name:path}")
async def asset(version: str, name: str) -> Response:
    """A file of the pages. Its address changes when any of them does."""
    content = assets().get(name)
    if content is None or version != assets_version():
        raise ApiError(404, "ASSET_NOT_FOUND", "there is no such file", "Load the page again.")
    media_type = mimetypes.guess_type(PurePosixPath(name).name)[0] or "application/octet-stream"
    return Response(content, media_type=media_type, headers={"Cache-Control": FOR_EVER})


@router.get("/submissions/{submission_id}/record.json")
def record(site: SiteOf, submission_id: _Id, prompts_digest: _Digest = None) -> Response:
    """What the API says about a submission, for browsers, which find the page at its address."""
    answer = submission(
        submission_id, site.services, limit=MAX_PAGE, offset=0, prompts_digest=prompts_digest
    )
    return Response(answer.model_dump_json(indent=1), media_type="application/json")


@router.get("/submissions/{submission_id}/prompts.jsonl")
def prompts(site: SiteOf, submission_id: _Id, prompts_digest: _Digest = None) -> Response:
    """The prompts of an evaluation, as ``scripts/evaluate_local.py --prompts`` reads them."""
    row = find_submission(site.services, submission_id)
    samples = site.services.store.samples(row.id, limit=MAX_PAGE, prompts_digest=prompts_digest)
    lines = [
        json.dumps({"index": sample.prompt_index, "text": sample.text, **sample.prompt}) + "\n"
        for sample in samples
    ]
    return Response("".join(lines), media_type="application/x-ndjson")


@router.get("/events")
async def events(request: Request, site: SiteOf) -> StreamingResponse:
    """Server-sent events: one at once, and one whenever something on a page may have changed."""
    if site.pulse.is_full:
        error = ApiError(
            503, "TOO_MANY_LISTENERS", "too many pages listen", "Ask again in a minute."
        )
        error.headers = {"Retry-After": "60"}
        raise error
    # The server need not wait for the end of this answer when it stops.
    request.state.endless = True
    return StreamingResponse(
        site.pulse.events(),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/submissions/{submission_id}/waveform/{prompt_index}")
def waveform(
    site: SiteOf,
    submission_id: _Id,
    prompt_index: Annotated[int, Path(ge=0, le=2**31 - 1)],
    prompts_digest: _Digest = None,
) -> JSONResponse:
    """The outline of a recording: peaks in percent of full scale."""
    clip = find_clip(site.services, submission_id, prompt_index, prompts_digest)
    try:
        peaks = _outline(clip)
    except UnreadableClipError as error:
        raise ApiError(
            404, "WAVEFORM_UNAVAILABLE", f"the recording cannot be drawn: {error}", "Listen to it."
        ) from error
    return JSONResponse({"peaks": peaks}, headers={"Cache-Control": "public, max-age=3600"})


def _outline(clip: Clip) -> list[int]:
    if clip.size_bytes > MAX_BYTES:
        raise UnreadableClipError("too large")
    return outline(b"".join(clip.chunks(0, clip.size_bytes)))
