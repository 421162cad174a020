"""Endpoints about many submissions: leaderboard, queue, recent entries, minerboard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from scoring.competition import tied_ranks
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
from voice_validation_api.api_models import interval_of
from voice_validation_api.api_requests import MinerboardUpdate, OneMiner
from voice_validation_api.api_services import ServicesOf
from voice_validation_api.auth import require_admin
from voice_validation_api.paging import Limit, Offset
from voice_validation_api.records import Calibration, LeaderboardEntry
from voice_validation_api.store import MAX_PAGE, Store

router = APIRouter(tags=["boards"], responses=error_responses(422, 503))

_Competition = Annotated[str, Query(max_length=64, description="Which competition.")]


@router.get("/leaderboard", summary="The ranking")
def leaderboard(
    services: ServicesOf,
    competition_id: _Competition = "tts",
    limit: Limit = 100,
    offset: Offset = 0,
) -> Leaderboard:
    """Scored submissions, best first, and the reference voices scored under the same protocol.

    Entries whose intervals overlap share a rank.
    """
    competition = check_competition(competition_id)
    ranked = _ranked(services.store, competition, offset + limit)
    anchors = services.store.calibrations(competition)
    newest = [entry.protocol for _, entry in ranked[:1]] or [row.protocol for row in anchors[:1]]
    return Leaderboard(
        competition_id=competition,
        protocol=newest[0] if newest else None,
        rows=tuple(LeaderboardRow.of(rank, entry) for rank, entry in ranked[offset:]),
        calibration=_calibration(row for row in anchors if row.protocol == newest[0]),
    )


@router.get("/queue", summary="The queue")
def queue(services: ServicesOf) -> QueueAnswer:
    """How many submissions wait and are done, and which ones workers hold now."""
    return QueueAnswer.of(services.store.queue_state())


@router.get("/recent_entries", summary="The newest submissions")
def recent_entries(
    services: ServicesOf, limit: Limit = 100, offset: Offset = 0
) -> list[RecentAnswer]:
    """The newest submissions of all competitions first, whatever became of them."""
    rows = services.store.recent(limit=limit, offset=offset)
    return [RecentAnswer.of(row) for row in rows]


@router.get("/minerboard", summary="The miners")
def minerboard(
    services: ServicesOf,
    competition_id: _Competition = "tts",
    limit: Limit = MAX_PAGE,
    offset: Offset = 0,
) -> list[MinerAnswer]:
    """The operator's list of miners by uid, each with the state of its newest submission."""
    competition = check_competition(competition_id)
    rows = services.store.minerboard(competition, limit=limit, offset=offset)
    return [MinerAnswer.of(row) for row in rows]


@router.post(
    "/minerboard_update",
    dependencies=[Depends(require_admin)],
    responses=error_responses(401, 403, 413),
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


def _ranked(store: Store, competition: str, end: int) -> list[tuple[int, LeaderboardEntry]]:
    """The first ``end`` entries with their ranks; a rank depends on every entry before it."""
    entries: list[LeaderboardEntry] = []
    while len(entries) < end:
        size = min(MAX_PAGE, end - len(entries))
        page = store.leaderboard(competition, limit=size, offset=len(entries))
        if page and entries and page[0].protocol != entries[0].protocol:
            entries = []  # The first score under a new protocol came in between.
            continue
        entries += page
        if len(page) < size:
            break
    ranks = tied_ranks([interval_of(entry) for entry in entries])
    return [(rank, e) for rank, e in zip(ranks, entries, strict=True) if rank is not None]


def _calibration(anchors: Iterable[Calibration]) -> tuple[CalibrationRow, ...]:
    """One row per voice, best first; ``anchors`` come newest first."""
    newest: dict[str, Calibration] = {}
    for anchor in anchors:
        newest.setdefault(anchor.voice, anchor)
    best_first = sorted(newest.values(), key=lambda row: (-row.score, row.voice))
    return tuple(CalibrationRow.of(row) for row in best_first)
