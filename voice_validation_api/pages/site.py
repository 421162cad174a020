"""What the pages keep while the service runs: the newest board, answers just made, listeners."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request, Response

from utilities.model_reference import TTS
from voice_validation_api.api_services import Services
from voice_validation_api.pages.board import Boards
from voice_validation_api.pages.pulse import Pulse
from voice_validation_api.pages.rendering import PAGE_HEADERS
from voice_validation_api.shared_answers import SharedAnswers

COMPETITION: Final = TTS
"""The one whose board is shown."""


@dataclass(frozen=True)
class Site:
    """What all page routes work with."""

    services: Services
    boards: Boards
    answers: SharedAnswers
    pulse: Pulse

    def shared(self, request: Request, key: Hashable, make: Callable[[str], str]) -> Response:
        """A page that is the same for all who ask; 304 for whoever has it.

        ``make`` is given the digest of the state that the page is to name: the state is older than
        what the page shows, so a page never claims to be newer than it is.
        """
        state = self.boards.state().digest
        answer = self.answers.get((key, state), lambda: make(state).encode())
        headers = {**PAGE_HEADERS, "ETag": answer.etag}
        if answer.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(answer.body, media_type="text/html", headers=headers)


def site_on(services: Services) -> Site:
    """The pages' part of an application."""
    boards = Boards(
        services.page_queries,
        services.rankings,
        services.store,
        services.rounds(COMPETITION),
        COMPETITION,
    )
    return Site(
        services,
        boards,
        SharedAnswers(services.settings.board_seconds),
        Pulse(boards.state),
    )


def site_of(request: Request) -> Site:
    """The site of the application that answers ``request``."""
    site: Site = request.app.state.site
    return site


SiteOf = Annotated[Site, Depends(site_of)]
