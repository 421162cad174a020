"""Choosing the docker launcher, and what becomes of containers whose worker is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import REPOSITORY_ROOT, leftovers
from hostile_helpers import Arena, completed_result

from voice_validation_api.launchers.base import LauncherUnavailableError
from voice_validation_api.launchers.choose import choose_launcher
from voice_validation_api.launchers.docker import DockerLauncher

pytestmark = pytest.mark.usefixtures("nothing_left")

WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, {helpers!r})
from hostile_helpers import request
from voice_validation_api.launchers.base import Job, Limits
from voice_validation_api.launchers.docker import DockerLauncher
path = Path({path!r})
job = Job("tts", request("sleep", path / "model"), path / "work", Limits(600.0, 10**6, 2**28))
DockerLauncher({image!r}).run(job, lambda: False)
"""


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "still not so after the deadline"
        time.sleep(0.05)


@contextmanager
def sleeping_worker(image: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker whose evaluation does not end."""
    for name in ("model", "work"):
        (path / name).mkdir(parents=True)
    program = WORKER.format(helpers=str(Path(__file__).parent), path=str(path), image=image)
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY_ROOT)
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


def running(client: Any) -> int:
    return sum(1 for name in leftovers(client) if _is_running(client, name))


def _is_running(client: Any, name: str) -> bool:
    found = client.api.containers(filters={"id": name, "status": "running"})
    return bool(found)


def test_what_a_killed_worker_leaves_is_removed_by_the_next(
    engine: Any, hostile_image: str, tmp_path: Path
) -> None:
    with sleeping_worker(hostile_image, tmp_path) as worker:
        wait_until(lambda: running(engine) == 2)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        # Nobody was there to stop it.
        assert running(engine) == 2
    DockerLauncher(hostile_image)
    assert leftovers(engine) == []


def test_what_a_living_worker_uses_is_left_alone(
    engine: Any, hostile_image: str, tmp_path: Path
) -> None:
    with sleeping_worker(hostile_image, tmp_path):
        wait_until(lambda: running(engine) == 2)
        DockerLauncher(hostile_image)
        assert running(engine) == 2
    DockerLauncher(hostile_image)


def test_an_image_that_is_not_there_is_named_with_the_way_to_build_it(engine: Any) -> None:
    with pytest.raises(LauncherUnavailableError, match=r"docker build -f evaluator\.Dockerfile"):
        choose_launcher("docker", image="speech-test-absent")


def test_auto_takes_docker_where_engine_and_image_are(hostile_image: str) -> None:
    assert isinstance(choose_launcher("auto", image=hostile_image), DockerLauncher)


def test_a_model_that_only_the_worker_may_read_is_opened(
    hostile_image: str, tmp_path: Path
) -> None:
    arena = Arena(hostile_image, tmp_path)
    payload = completed_result().model_dump_json().encode()
    (arena.model / "result.json").touch(0o600)
    arena.model.chmod(0o700)
    assert arena.evaluate("payload", payload).result == completed_result()
