"""The validation API: admits submissions, shows scores, keeps reports.

    python voice_validation_api/validation_api.py [--main-api-port 7777] [--host 127.0.0.1]

Settings come from the environment and ``.env``. Exit codes: 0 stopped as told, 2 wrong settings or
an address that cannot be listened on, 3 no usable database.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from socket import socket

from fastapi import FastAPI
from pydantic import ValidationError

from utilities.http_server import CannotListenError, bind, serve, url_of
from utilities.hub import Hub
from utilities.logs import configure_logging
from utilities.redaction import secrets_of
from voice_validation_api import (
    routes_boards,
    routes_models,
    routes_protocols,
    routes_reports,
    routes_rounds,
    routes_service,
    routes_submissions,
)
from voice_validation_api.api_connections import Connections, connections_that_fit
from voice_validation_api.api_errors import error_responses, install_error_handlers, problems_told
from voice_validation_api.api_headers import SafeHeadersMiddleware
from voice_validation_api.api_limits import BodyLimitMiddleware
from voice_validation_api.api_rates import RateLimitMiddleware
from voice_validation_api.api_services import Services, services_on
from voice_validation_api.api_settings import ApiSettings
from voice_validation_api.audio_base import AudioStoreError
from voice_validation_api.database_access import open_database
from voice_validation_api.metrics_api import api_metrics
from voice_validation_api.pages import routes_live, routes_pages
from voice_validation_api.pages.site import site_on
from voice_validation_api.postgres import NO_USABLE_DATABASE

VERSION = "1.0.0"
EXIT_SETTINGS, EXIT_DATABASE = 2, 3

log = logging.getLogger("validation_api")


def create_app(services: Services) -> FastAPI:
    """The application; it owns nothing and starts nothing."""
    app = FastAPI(
        title="Speech subnet validation API",
        version=VERSION,
        description="Submissions of text-to-speech models, their scores and their ranking. "
        'Errors are always `{"error": {"code", "message", "remedy"}}`.',
        # The interactive pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        responses=error_responses(429),
    )
    app.state.services = services
    app.state.site = site_on(services)
    # The last one is the first that a request passes.
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(RateLimitMiddleware, settings=services.settings)
    app.add_middleware(SafeHeadersMiddleware)
    install_error_handlers(app)
    for routes in (
        # First the pages: they let pass whoever does not ask for HTML.
        routes_pages,
        routes_live,
        routes_service,
        routes_models,
        routes_submissions,
        routes_boards,
        routes_rounds,
        routes_protocols,
        routes_reports,
    ):
        app.include_router(routes.router)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run the API until SIGINT or SIGTERM; returns the exit code."""
    try:
        settings = _settings(argv)
    except ValidationError as error:
        sys.stderr.write(f"wrong settings: {problems_told(error.errors())}\n")
        return EXIT_SETTINGS
    configure_logging(settings.log_level, settings.log_format, secrets=secrets_of(settings))
    # What is started below is stopped again, whenever the signal comes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with closing(bind(settings.host, settings.main_api_port)) as listener:
            return _run(settings, listener)
    except AudioStoreError as error:
        log.critical("%s", error)
        return EXIT_SETTINGS
    except CannotListenError as error:
        log.critical("%s. %s", error.message, error.remedy)
        return EXIT_SETTINGS
    except KeyboardInterrupt:
        return 0


def _run(settings: ApiSettings, listener: socket) -> int:
    with ExitStack() as resources:
        try:
            size = settings.database_connections
            access = resources.enter_context(
                open_database(settings, size=size, application="validation-api")
            )
        except NO_USABLE_DATABASE as error:
            log.critical("no usable database (POSTGRES_URL says which one): %s", error)
            return EXIT_DATABASE
        if settings.admin_key is None:
            log.warning("ADMIN_KEY is unset: nobody can submit models")
        token = settings.hub_token
        hub = Hub(endpoint=settings.hub_endpoint, token=token.get_secret_value() if token else None)
        app = create_app(services_on(access.pool, hub, settings))
        resources.enter_context(api_metrics(app, access, settings))
        log.info("listening on %s", url_of(listener))
        connections = Connections(connections_that_fit(settings.max_connections))
        serve(app, listener, protocol=connections, trusted_proxies=settings.trusted_proxies)
    log.info("stopped")
    return 0


def _settings(argv: Sequence[str] | None) -> ApiSettings:
    parser = argparse.ArgumentParser(
        description="The validation API.",
        epilog="Settings come from the environment and .env as well: POSTGRES_URL, ADMIN_KEY, "
        "VAR_DIR, HF_ENDPOINT, HF_TOKEN, MAIN_API_PORT, MAIN_API_HOST.",
    )
    parser.add_argument("--main-api-port", type=int, help="default 7777; 0 takes any free port")
    parser.add_argument("--host", help="default 127.0.0.1; 0.0.0.0 for every address")
    flags = {
        key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None
    }
    return ApiSettings(**flags)


if __name__ == "__main__":
    sys.exit(main())
