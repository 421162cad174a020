"""What the API counts about its requests."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from voice_validation_api.metrics_requests import (
    UNMATCHED,
    RequestMetrics,
    RequestMetricsMiddleware,
)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(registry: CollectorRegistry) -> TestClient:
    app = FastAPI()

    @app.get("/submissions/{submission_id}")
    def submission(submission_id: int) -> int:
        return submission_id

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    app.add_middleware(RequestMetricsMiddleware, metrics=RequestMetrics(registry))
    return TestClient(app, raise_server_exceptions=False)


def counted(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    return {
        (s.labels["method"], s.labels["route"], s.labels["status"]): s.value
        for family in registry.collect()
        for s in family.samples
        if s.name == "speech_http_requests_total"
    }


def test_requests_are_counted_by_the_template_of_their_route(
    client: TestClient, registry: CollectorRegistry
) -> None:
    for number in range(3):
        client.get(f"/submissions/{number}")
    client.get("/submissions/x")
    route = "/submissions/{submission_id}"
    assert counted(registry) == {("GET", route, "200"): 3, ("GET", route, "422"): 1}
    seconds = registry.get_sample_value("speech_http_request_seconds_count", {"route": route})
    assert seconds == 4


def test_what_callers_make_up_becomes_no_label(
    client: TestClient, registry: CollectorRegistry
) -> None:
    client.get("/wp-login.php")
    client.request("BREW", "/coffee")
    assert counted(registry) == {("GET", UNMATCHED, "404"): 1, ("OTHER", UNMATCHED, "404"): 1}


def test_an_endpoint_that_raises_counts_as_500_and_is_not_in_progress_any_more(
    client: TestClient, registry: CollectorRegistry
) -> None:
    client.get("/broken")
    assert counted(registry) == {("GET", "/broken", "500"): 1}
    assert registry.get_sample_value("speech_http_requests_in_progress") == 0
