"""A real Docker engine. Without one these tests skip, unless ``REQUIRE_DOCKER=1`` forbids it."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "integration"))  # its helpers of hub and service

from engine_helpers import (
    REPOSITORY_ROOT,
    build,
    build_arguments,
    leftovers,
    make_base_image,
)

from voice_validation_api.launchers.base import LauncherUnavailableError
from voice_validation_api.launchers.docker_engine import connect


@pytest.fixture(scope="session")
def engine() -> Any:
    """A client of the engine."""
    try:
        return connect()
    except LauncherUnavailableError as error:
        if os.environ.get("REQUIRE_DOCKER"):
            pytest.fail(f"REQUIRE_DOCKER is set, and {error}")
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def gateway(engine: Any) -> str:
    """This machine's address as containers on the default network see it."""
    config = engine.api.inspect_network("bridge")["IPAM"]["Config"][0]
    # Left out where the engine chose it: the first address then.
    first = next(ipaddress.ip_network(config["Subnet"]).hosts())
    return str(config.get("Gateway") or first)


@pytest.fixture(scope="session")
def build_args(engine: Any, gateway: str) -> Iterator[list[str]]:
    """Arguments of every docker build."""
    with build_arguments(make_base_image(), gateway) as arguments:
        yield arguments


@pytest.fixture(scope="session")
def hostile_image(build_args: list[str]) -> str:
    """A small image that attacks in the evaluator's place."""
    return build(
        "Dockerfile", "speech-test-hostile", build_args[:2], Path(__file__).parent / "hostile"
    )


@pytest.fixture(scope="session")
def evaluator_image(build_args: list[str]) -> str:
    """The evaluator, built as documented."""
    return build("evaluator.Dockerfile", "speech", build_args, REPOSITORY_ROOT)


@pytest.fixture
def nothing_left(engine: Any) -> Iterator[None]:
    """Fails a test that leaves containers or volumes of evaluations behind."""
    assert leftovers(engine) == []
    yield
    assert leftovers(engine) == []
