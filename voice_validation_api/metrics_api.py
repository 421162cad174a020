"""The API's metrics put together: its requests, and what Postgres knows about the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from fastapi import FastAPI

from voice_validation_api.api_settings import ApiSettings
from voice_validation_api.database import Database
from voice_validation_api.database_access import DatabaseAccess
from voice_validation_api.metrics import metrics_served, new_registry
from voice_validation_api.metrics_requests import RequestMetrics, RequestMetricsMiddleware
from voice_validation_api.metrics_service import ServiceCollector


@contextmanager
def api_metrics(
    app: FastAPI, access: DatabaseAccess, settings: ApiSettings
) -> Iterator[int | None]:
    """Measure ``app`` and show it until the block ends; yields the port. Unset: neither.

    Raises CannotListenError and DatabaseUnavailableError.
    """
    if settings.metrics_port is None:
        yield None
        return
    registry = new_registry()
    app.add_middleware(RequestMetricsMiddleware, metrics=RequestMetrics(registry))
    # A connection of its own: metrics are wanted most when the API has none to spare.
    with closing(Database(access.dsn, size=1, application="metrics")) as database:
        registry.register(ServiceCollector(database))
        with metrics_served(registry, settings.metrics_host, settings.metrics_port) as port:
            yield port
