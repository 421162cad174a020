"""What every endpoint works with, made once by ``main`` and handed to ``create_app``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Request

from utilities.chain_auth import NonceStore
from utilities.hub import Hub
from voice_validation_api.api_settings import ApiSettings
from voice_validation_api.audio_base import AudioStore
from voice_validation_api.audio_store import open_audio_store
from voice_validation_api.database import Database
from voice_validation_api.nonces import PostgresNonces
from voice_validation_api.pages.queries import PageQueries
from voice_validation_api.rankings import Rankings
from voice_validation_api.rates import RateLimiter
from voice_validation_api.rounds.ledger import RoundLedger
from voice_validation_api.shared_answers import SharedAnswers
from voice_validation_api.store import Store


@dataclass(frozen=True)
class Services:
    """The database, the model hub, the settings, the clips, and what is remembered of callers.

    ``rounds`` gives those of a competition.
    """

    store: Store
    hub: Hub
    settings: ApiSettings
    audio: AudioStore
    nonces: NonceStore
    report_rates: RateLimiter
    rankings: Rankings
    answers: SharedAnswers
    rounds: Callable[[str], RoundLedger]
    page_queries: PageQueries


def services_on(database: Database, hub: Hub, settings: ApiSettings) -> Services:
    """The services of an application on ``database``. Raises AudioStoreError."""
    return Services(
        store=Store(database),
        hub=hub,
        settings=settings,
        audio=open_audio_store(settings),
        nonces=PostgresNonces(database),
        report_rates=RateLimiter(settings.reports_per_second),
        rankings=Rankings(database),
        answers=SharedAnswers(settings.board_seconds),
        rounds=partial(RoundLedger, database),
        page_queries=PageQueries(database),
    )


async def services_of(request: Request) -> Services:
    """The services of the application that answers ``request``."""
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(services_of)]
