"""Endpoints about the service itself."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response, status

from voice_validation_api.api_boards import Health, Root
from voice_validation_api.api_services import ServicesOf
from voice_validation_api.database import DatabaseUnavailableError

DEFAULT_HUB = "https://huggingface.co"

router = APIRouter(tags=["service"])


@router.get("/", summary="What this is")
def root(request: Request) -> Root:
    """The service and its endpoints."""
    app = request.app
    endpoints = [
        f"{method.upper()} {path}"
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]
    return Root(
        name=app.title,
        version=app.version,
        documentation=str(app.openapi_url),
        endpoints=tuple(endpoints),
    )


@router.get(
    "/hc",
    summary="Health check",
    responses={503: {"model": Health, "description": "The database does not answer."}},
)
def health(services: ServicesOf, response: Response) -> Health:
    """200 when the service can work, 503 when its database does not answer."""
    try:
        services.store.ping()
    except DatabaseUnavailableError:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    ready = response.status_code != status.HTTP_503_SERVICE_UNAVAILABLE
    settings = services.settings
    return Health(
        status="ok" if ready else "unavailable",
        database="ok" if ready else "unavailable",
        hub=without_credentials(settings.hub_endpoint or DEFAULT_HUB),
        hub_token=settings.hub_token is not None,
        admin_key=settings.admin_key is not None,
        hotkey=settings.hotkey,
        round_signers=None if settings.round_signers is None else str(settings.round_signers),
    )


def without_credentials(url: str) -> str:
    """``url`` as everybody may see it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
