"""Counts and times the API's requests by route, method and status."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNMATCHED = "(none)"
"""The route of requests that no endpoint answers."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class RequestMetrics:
    """What is known about requests. The labels are templates and names, never what callers sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.total = Counter(
            "speech_http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "speech_http_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ("route",),
            registry=registry,
            buckets=_SECONDS,
        )
        self.in_progress = Gauge(
            "speech_http_requests_in_progress", "Requests being answered.", registry=registry
        )


class RequestMetricsMiddleware:
    """Measures what the application below it does; it must be the outermost."""

    def __init__(self, app: ASGIApp, *, metrics: RequestMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # An application that raises before it answers is answered for with 500.
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            with self._metrics.in_progress.track_inprogress():
                await self._app(scope, receive, watched)
        finally:
            # The router leaves the route that it chose.
            route = getattr(scope.get("route"), "path", UNMATCHED)
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            self._metrics.total.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
