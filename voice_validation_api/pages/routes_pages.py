"""The pages for people. Programs that ask for JSON at the same addresses find the API there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse

from utilities.ss58 import is_ss58
from voice_validation_api.api_errors import ApiError, problems_told
from voice_validation_api.api_text import public_text
from voice_validation_api.database import DatabaseUnavailableError
from voice_validation_api.pages.board import Board
from voice_validation_api.pages.details import OUTCOMES, human_floor, parts_of, spoken
from voice_validation_api.pages.negotiation import HtmlRoute
from voice_validation_api.pages.progress import progress_of
from voice_validation_api.pages.rendering import page, render
from voice_validation_api.pages.selection import Choice, Show, Sort, select
from voice_validation_api.pages.site import COMPETITION, Site, SiteOf
from voice_validation_api.pages.standing import standing_of
from voice_validation_api.records import Result, StoredSample, Submission, SubmissionId
from voice_validation_api.registration import UNPINNED
from voice_validation_api.routes_service import DEFAULT_HUB, without_credentials
from voice_validation_api.routes_submissions import find_submission

PROMPTS_SHOWN: Final = 12
FIELD: Final = 100
"""So many of the best are the field that a submission's parts are compared with."""
RECENT: Final = 25
OPPONENTS: Final = 30

_Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
_PageNumber = Annotated[int, Query(alias="page", ge=1, le=1_000)]


class PageRoute(HtmlRoute):
    """A route for browsers, whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with errors shown as a page."""
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except ApiError as error:
                return _error_page(error)
            except RequestValidationError as error:
                told = problems_told(error.errors())
                return _error_page(ApiError(422, "REQUEST_INVALID", told, "Look at the address."))
            except DatabaseUnavailableError:
                message = "the database does not answer"
                return _error_page(
                    ApiError(503, "DATABASE_UNAVAILABLE", message, "Try again in a minute.")
                )

        return handle_for_people


router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
def leaderboard(
    request: Request,
    site: SiteOf,
    q: Annotated[str, Query(max_length=100)] = "",
    show: Show = Show.ALL,
    sort: Sort = Sort.RANK,
    reverse: bool = False,
    page_number: _PageNumber = 1,
) -> Response:
    """The ranking."""
    choice = Choice(q, show, sort, reverse, page_number)

    def make(state: str) -> str:
        board = site.boards.current()
        return render(
            "leaderboard.html",
            state=state,
            board=board,
            choice=choice,
            columns=Sort,
            shows=Show,
            selected=select(board, choice, datetime.now(timezone.utc)),
            queue=site.services.store.queue_state(),
            hub=_hub(site),
        )

    return site.shared(request, ("leaderboard", choice), make)


@router.get("/submissions/{submission_id}")
def submission(
    site: SiteOf, submission_id: _Id, order: str = "prompt", page_number: _PageNumber = 1
) -> Response:
    """A submission: its score in parts, and what it said."""
    services = site.services
    state = site.boards.state().digest
    row = find_submission(services, submission_id)
    result = services.store.result(row.id)
    board = site.boards.current()
    worst_first = order == "worst"
    samples = _samples(site, result, worst_first, page_number) if result else ()
    return page(
        "submission.html",
        state=state,
        row=row,
        revision=_revision(row),
        result=result,
        board=board,
        place=board.row_of(row.id),
        floor=human_floor(result),
        parts=_parts(site, result, board) if result else (),
        prompts=spoken(result, samples) if result else (),
        page_number=page_number,
        pages=-(-(result.scored + result.unscored) // PROMPTS_SHOWN) if result else 1,
        first_prompt=PROMPTS_SHOWN * (page_number - 1),
        worst_first=worst_first,
        attempts=services.store.attempts_shown(row.id),
        outcomes=OUTCOMES,
        opponents=_opponents(board, row.id, result),
        hub=_hub(site),
    )


@router.get("/compare")
def compare(
    site: SiteOf,
    a: Annotated[int, Query(ge=1, le=2**63 - 1)],
    b: Annotated[int, Query(ge=1, le=2**63 - 1)],
    blind: bool = True,
    page_number: _PageNumber = 1,
) -> Response:
    """Two submissions side by side on the same prompts."""
    store = site.services.store
    rows = [find_submission(site.services, one) for one in (a, b)]
    results = [store.result(row.id) for row in rows]
    for row, found in zip(rows, results, strict=True):
        if found is None:
            raise ApiError(
                404, "NOT_SCORED", f"submission {row.id} has no score", "Choose another."
            )
    first, second = results
    assert first is not None
    assert second is not None
    if first.prompts_digest != second.prompts_digest:
        # One of the two may have spoken the other's prompts in an earlier round.
        second = store.result(rows[1].id, prompts_digest=first.prompts_digest)
    if second is None:
        raise ApiError(
            409,
            "OTHER_PROMPTS",
            f"submissions {a} and {b} never spoke the same prompts",
            "Choose two of one round.",
        )
    offset = PROMPTS_SHOWN * (page_number - 1)
    sides = [
        spoken(
            result,
            store.samples(
                result.submission_id,
                limit=PROMPTS_SHOWN,
                offset=offset,
                prompts_digest=result.prompts_digest,
            ),
        )
        for result in (first, second)
    ]
    others = {prompt.sample.prompt_index: prompt for prompt in sides[1]}
    pairs = [
        (prompt, others[prompt.sample.prompt_index])
        for prompt in sides[0]
        if prompt.audio
        and prompt.sample.prompt_index in others
        and others[prompt.sample.prompt_index].audio
    ]
    return page(
        "compare.html",
        rows=rows,
        # As JSON they do not pass where all other texts are made harmless.
        names=[public_text(row.repo_id) for row in rows],
        results=(first, second),
        pairs=pairs,
        blind=blind,
        page_number=page_number,
        pages=-(-(first.scored + first.unscored) // PROMPTS_SHOWN),
    )


@router.get("/miners")
def find_miner(hotkey: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Where the form for a hotkey leads."""
    hotkey = hotkey.strip()
    if not hotkey:
        return page("miner_form.html")
    if not is_ss58(hotkey):
        raise _no_hotkey()
    return RedirectResponse(f"/miners/{hotkey}", status_code=303)


@router.get("/miners/{hotkey}")
def miner(site: SiteOf, hotkey: Annotated[str, Path(max_length=64)]) -> Response:
    """All that a miner has submitted, and where it stands."""
    if not is_ss58(hotkey):
        raise _no_hotkey()
    state = site.boards.state().digest
    board = site.boards.current()
    submissions = site.services.page_queries.submissions_of(COMPETITION, hotkey)
    best = next((row for row in board.rows if row.hotkey == hotkey), None)
    result = site.services.store.result(best.id) if best is not None and best.id else None
    standing = standing_of(board, hotkey, human_floor(result))
    parts = sorted(_parts(site, result, board), key=lambda part: part.value) if result else ()
    return page(
        "miner.html",
        state=state,
        hotkey=hotkey,
        board=board,
        submissions=submissions,
        standing=standing,
        parts=parts,
        hub=_hub(site),
        unpinned=UNPINNED,
    )


@router.get("/progress")
def progress(request: Request, site: SiteOf) -> Response:
    """How the best score, the submissions and the queue go."""

    def make(state: str) -> str:
        board = site.boards.current()
        queries = site.services.page_queries
        return render(
            "progress.html",
            state=state,
            board=board,
            progress=progress_of(
                queries.rounds(COMPETITION), queries.days(COMPETITION, board.protocol), board
            ),
            queue=site.services.store.queue_state(),
            canaries=queries.canaries(),
            recent=site.services.store.recent(limit=RECENT),
        )

    return site.shared(request, "progress", make)


def _samples(
    site: Site, result: Result, worst_first: bool, page_number: int
) -> tuple[StoredSample, ...]:
    offset = PROMPTS_SHOWN * (page_number - 1)
    if worst_first:
        return site.services.page_queries.worst_samples(
            result.submission_id, limit=PROMPTS_SHOWN, offset=offset
        )
    return site.services.store.samples(result.submission_id, limit=PROMPTS_SHOWN, offset=offset)


def _parts(site: Site, result: Result, board: Board) -> tuple[Any, ...]:
    ids = [row.id for row in board.rows[:FIELD] if row.id is not None]
    comparable = board.protocol is not None and board.protocol == result.protocol and len(ids) > 1
    field = site.services.page_queries.parts(result.protocol, ids) if comparable else ()
    return parts_of(result, field)


def _opponents(board: Board, own: SubmissionId, result: Result | None) -> list[Any]:
    if result is None or result.protocol != board.protocol:
        return []
    return [row for row in board.rows[: OPPONENTS + 1] if row.id != own][:OPPONENTS]


def _revision(row: Submission) -> str | None:
    return None if row.revision == UNPINNED else row.revision


def _hub(site: Site) -> str:
    return without_credentials(site.services.settings.hub_endpoint or DEFAULT_HUB).rstrip("/")


def _no_hotkey() -> ApiError:
    return ApiError(
        422,
        "HOTKEY_INVALID",
        "that is no hotkey",
        "Paste the ss58 address of a hotkey, 48 characters that begin with 5.",
    )


def _error_page(error: ApiError) -> Response:
    answer = page("error.html", status=error.status, error=error)
    answer.headers.update(error.headers)
    return answer
