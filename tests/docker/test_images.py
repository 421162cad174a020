"""Images without the settings they need end at once, and say which."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from engine_helpers import build, docker, image_context

SOCKET = ("-v", "/var/run/docker.sock:/var/run/docker.sock")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout without a .env."""
    return image_context(tmp_path_factory.mktemp("context"), {})


def refused(image: str, *flags: str) -> tuple[int, str]:
    """Exit code and output of a container that does not start."""
    done = subprocess.run(
        ["docker", "run", "--rm", *flags, image],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_worker_without_the_engine_or_a_database_says_so(
    build_args: list[str], evaluator_image: str, context: Path
) -> None:
    image = build("worker.Dockerfile", "speech-test-worker", build_args, context)
    code, output = refused(image)
    assert code == 4
    assert "-v /var/run/docker.sock:/var/run/docker.sock" in output
    code, output = refused(image, *SOCKET)
    assert code == 3
    assert "POSTGRES_URL is unset" in output


def test_an_api_without_a_database_says_so(build_args: list[str], context: Path) -> None:
    image = build("api.Dockerfile", "speech-test-api", build_args, context)
    code, output = refused(image)
    assert code == 3
    assert "POSTGRES_URL is unset" in output
    assert docker("inspect", "-f", "{{.Config.User}}", image) == "service"


def test_a_model_queue_without_a_key_says_so(build_args: list[str], context: Path) -> None:
    image = build("modelq.Dockerfile", "speech-test-modelq", build_args, context)
    code, output = refused(image)
    assert code == 2
    assert "ADMIN_KEY" in output
    assert docker("inspect", "-f", "{{.Config.User}}", image) == "modelq"
