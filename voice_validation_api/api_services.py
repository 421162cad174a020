"""What every endpoint works with, made once by ``main`` and handed to ``create_app``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from utilities.hub import Hub
from voice_validation_api.api_settings import ApiSettings
from voice_validation_api.store import Store


@dataclass(frozen=True)
class Services:
    """The database, the model hub and the settings."""

    store: Store
    hub: Hub
    settings: ApiSettings


def services_of(request: Request) -> Services:
    """The services of the application that answers ``request``."""
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(services_of)]
