"""Endpoints about rounds. What a round published never changes, so it may be kept for ever."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from scoring.competition import SignedRound
from utilities.model_reference import check_competition
from voice_validation_api.api_errors import ApiError, error_responses
from voice_validation_api.api_models import Answer
from voice_validation_api.api_services import ServicesOf
from voice_validation_api.paging import Limit, Offset
from voice_validation_api.rounds.records import ListedRound, RoundState

FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter(prefix="/rounds", tags=["rounds"], responses=error_responses(422, 503))

_Competition = Annotated[str, Query(max_length=64, description="Which competition.")]
_Number = Annotated[int, Path(ge=0, lt=2**48)]


class RoundAnswer(Answer):
    """One round. Its seed is told once the seed block is final; before, nobody can know it."""

    number: int
    state: RoundState
    closed: bool
    digest: str | None
    start_block: int
    seed_block: int
    end_block: int
    seed: str | None
    closed_block: int | None
    opened_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: ListedRound) -> RoundAnswer:
        """The line of a round."""
        return cls(closed=row.state is RoundState.CLOSED, **vars(row))


@router.get("", summary="The rounds")
def rounds(
    services: ServicesOf,
    competition_id: _Competition = "tts",
    limit: Limit = 100,
    offset: Offset = 0,
) -> list[RoundAnswer]:
    """Rounds, newest first. None: submissions are scored as they come."""
    ledger = services.rounds(check_competition(competition_id))
    return [RoundAnswer.of(row) for row in ledger.listed(limit=limit, offset=offset)]


@router.get(
    "/{number}",
    summary="What a round published",
    response_model=SignedRound,
    responses=error_responses(404),
)
def published_round(
    number: _Number, request: Request, services: ServicesOf, competition_id: _Competition = "tts"
) -> Response:
    """Scores, results per prompt, digests and chain evidence, signed by the service's hotkey."""
    competition = check_competition(competition_id)
    found = services.rounds(competition).round(number)
    if found is None:
        raise ApiError(
            404,
            "ROUND_NOT_PUBLISHED",
            f"competition {competition} has published no round {number}",
            "GET /rounds lists those that are closed.",
        )
    headers = {"ETag": f'"{found.digest}"', "Cache-Control": FOR_EVER}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.published, media_type="application/json", headers=headers)
