"""Endpoints about many submissions: leaderboard, queue, recent entries, minerboard.

They are what everybody asks for again and again. Their answers are made once a second at most and
are at most two seconds old; whoever has the newest one already is told so (ETag, 304). What is at
hand is answered without a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter
from starlette.background import BackgroundTask

from utilities.model_reference import check_competition
from voice_validation_api.api_boards import (
    Accepted,
    CalibrationRow,
    Leaderboard,
    LeaderboardRow,
    MinerAnswer,
    QueueAnswer,
    RecentAnswer,
)
from voice_validation_api.api_errors import ApiError, error_responses
from voice_validation_api.api_requests import MinerboardUpdate, OneMiner
from voice_validation_api.api_services import Services, ServicesOf
from voice_validation_api.auth import require_admin
from voice_validation_api.database import DatabaseUnavailableError
from voice_validation_api.paging import Limit, Offset
from voice_validation_api.records import Calibration
from voice_validation_api.rounds.outcome import newest_outcome
from voice_validation_api.shared_answers import SharedAnswers
from voice_validation_api.store import MAX_PAGE

router = APIRouter(tags=["boards"], responses=error_responses(422, 503))

log = logging.getLogger(__name__)

_Competition = Annotated[str, Query(max_length=64, description="Which competition.")]
_MINERS = TypeAdapter(list[MinerAnswer])
_RECENT = TypeAdapter(list[RecentAnswer])


@router.get("/leaderboard", summary="The ranking", response_model=Leaderboard)
async def leaderboard(
    request: Request,
    services: ServicesOf,
    competition_id: _Competition = "tts",
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """Scored submissions, best first, and the reference voices scored under the same protocol.

    Entries whose intervals overlap share a rank. The best 11,000 are ranked.
    """
    competition = check_competition(competition_id)

    def make() -> bytes:
        protocol, entries = services.rankings.page(competition, limit=limit, offset=offset)
        anchors = services.store.calibrations(competition)
        if protocol is None and anchors:
            protocol = anchors[0].protocol
        outcome = newest_outcome(services.rounds(competition))
        board = Leaderboard(
            competition_id=competition,
            protocol=protocol,
            round=outcome.number,
            rows=tuple(
                LeaderboardRow.of(entry.rank, entry, outcome.decided.get(entry.submission_id))
                for entry in entries
            ),
            calibration=_calibration(row for row in anchors if row.protocol == protocol),
        )
        return board.model_dump_json().encode()

    return await _shared(request, services, ("leaderboard", competition, limit, offset), make)


@router.get("/queue", summary="The queue", response_model=QueueAnswer)
async def queue(request: Request, services: ServicesOf) -> Response:
    """How many submissions wait and are done, and which ones workers hold now."""

    def make() -> bytes:
        return QueueAnswer.of(services.store.queue_state()).model_dump_json().encode()

    return await _shared(request, services, "queue", make)


@router.get("/recent_entries", summary="The newest submissions", response_model=list[RecentAnswer])
async def recent_entries(
    request: Request, services: ServicesOf, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """The newest submissions of all competitions first, whatever became of them."""

    def make() -> bytes:
        rows = services.store.recent(limit=limit, offset=offset)
        return _RECENT.dump_json([RecentAnswer.of(row) for row in rows])

    return await _shared(request, services, ("recent", limit, offset), make)


@router.get("/minerboard", summary="The miners", response_model=list[MinerAnswer])
async def minerboard(
    request: Request,
    services: ServicesOf,
    competition_id: _Competition = "tts",
    limit: Limit = MAX_PAGE,
    offset: Offset = 0,
) -> Response:
    """The operator's list of miners by uid, each with the state of its newest submission."""
    competition = check_competition(competition_id)

    def make() -> bytes:
        rows = services.store.minerboard(competition, limit=limit, offset=offset)
        return _MINERS.dump_json([MinerAnswer.of(row) for row in rows])

    return await _shared(request, services, ("minerboard", competition, limit, offset), make)


@router.post(
    "/minerboard_update",
    dependencies=[Depends(require_admin)],
    responses=error_responses(400, 401, 403, 413),
    summary="Set the miners",
)
def minerboard_update(update: MinerboardUpdate, services: ServicesOf) -> Accepted:
    """Set one miner's entry, or replace the whole list with ``entries``."""
    competition = check_competition(update.competition_id)
    if isinstance(update, OneMiner):
        services.store.update_miner(update.entry(competition))
        return Accepted()
    entries = [miner.entry(competition) for miner in update.entries]
    if len({entry.uid for entry in entries}) != len(entries):
        raise ApiError(422, "REQUEST_INVALID", "entries: a uid is there twice", "Send each once.")
    services.store.update_minerboard(competition, entries)
    return Accepted()


async def _shared(
    request: Request, services: Services, key: Hashable, make: Callable[[], bytes]
) -> Response:
    answers = services.answers
    answer = answers.at_hand(key)
    renewal = None
    if answer is None:
        answer = await run_in_threadpool(answers.get, key, make)
    elif answers.is_due(key):
        # This caller need not wait for it.
        renewal = BackgroundTask(_renew, answers, key, make)
    headers = {
        "ETag": answer.etag,
        "Cache-Control": f"public, max-age={int(services.settings.board_seconds)}",
    }
    if answer.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers, background=renewal)
    return Response(answer.body, media_type="application/json", headers=headers, background=renewal)


def _renew(answers: SharedAnswers, key: Hashable, make: Callable[[], bytes]) -> None:
    try:
        answers.get(key, make)
    except DatabaseUnavailableError as error:
        # Whoever asks when the answer is too old is told.
        log.warning("a board is not made anew: %s", error)


def _calibration(anchors: Iterable[Calibration]) -> tuple[CalibrationRow, ...]:
    """One row per voice, best first; ``anchors`` come newest first."""
    newest: dict[str, Calibration] = {}
    for anchor in anchors:
        newest.setdefault(anchor.voice, anchor)
    best_first = sorted(newest.values(), key=lambda row: (-row.score, row.voice))
    return tuple(CalibrationRow.of(row) for row in best_first)
