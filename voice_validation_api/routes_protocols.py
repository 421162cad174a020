"""The endpoint about protocols: what a score's protocol digest is the digest of."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from voice_validation_api.api_errors import ApiError, error_responses
from voice_validation_api.api_services import ServicesOf
from voice_validation_api.routes_rounds import FOR_EVER

router = APIRouter(prefix="/protocols", tags=["rounds"])

_Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="As scores carry it.")]


@router.get(
    "/{digest}",
    summary="What a protocol consists of",
    response_model=dict[str, Any],
    responses=error_responses(404, 422, 503),
)
def protocol(digest: _Digest, services: ServicesOf) -> Response:
    """Engine, recognisers, metrics, prompts and libraries, by digest and version.

    The sha256 of the answer's bytes is the digest that was asked for.
    """
    record = services.store.protocol(digest)
    if record is None:
        raise ApiError(
            404,
            "PROTOCOL_NOT_KNOWN",
            f"no evaluation left a record of protocol {digest}",
            "Scores name their protocol; those of older workers left no record.",
        )
    headers = {"ETag": f'"{digest}"', "Cache-Control": FOR_EVER}
    return Response(record, media_type="application/json", headers=headers)
