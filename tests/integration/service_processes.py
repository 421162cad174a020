"""The API as a process, for tests: started as its operator starts it, asked over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

REPOSITORY_ROOT = Path(__file__).parents[2]
ADMIN_KEY = "correct horse battery staple"
SCRIPT = ("voice_validation_api/validation_api.py",)
MODULE = ("-m", "voice_validation_api.validation_api")
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
# Nothing of the shell that runs the tests reaches the service.
_KEPT = ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class RunningApi:
    """An API that answers; ``client`` knows its address, ``log`` is what it wrote."""

    process: subprocess.Popen[bytes]
    client: httpx2.Client
    log_file: Path

    @property
    def log(self) -> str:
        """Everything that the operator has read so far."""
        return self.log_file.read_text()

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Stop it as an operator does; the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(STOP_SECONDS)


def start_api(
    environment: Mapping[str, str],
    log_file: Path,
    *,
    program: Sequence[str] = SCRIPT,
    flags: Sequence[str] = ("--main-api-port", "0"),
) -> subprocess.Popen[bytes]:
    """The API's process, started and not waited for."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with log_file.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *program, *flags],
            cwd=REPOSITORY_ROOT,
            env={**kept, "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def running_api(
    environment: Mapping[str, str],
    log_file: Path,
    *,
    program: Sequence[str] = SCRIPT,
    port: str = "0",
) -> Iterator[RunningApi]:
    """Start the API, by default on a free port, and wait until it listens; killed at the end if
    need be."""
    flags = ("--main-api-port", port)
    process = start_api(environment, log_file, program=program, flags=flags)
    try:
        url = _address(process, log_file)
        with httpx2.Client(base_url=url, timeout=30.0) as client:
            yield RunningApi(process, client, log_file)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()


def failed_start(environment: Mapping[str, str], log_file: Path, *flags: str) -> tuple[int, str]:
    """Exit code and output of an API that cannot start."""
    process = start_api(environment, log_file, flags=flags or ("--main-api-port", "0"))
    try:
        return process.wait(READY_SECONDS), log_file.read_text()
    finally:
        process.kill()


def _address(process: subprocess.Popen[bytes], log_file: Path) -> str:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        output = log_file.read_text()
        assert process.poll() is None, f"the API ended:\n{output}"
        _, found, rest = output.partition("listening on ")
        if found and "Application startup complete" in rest:
            return rest.split()[0]
        time.sleep(0.05)
    raise AssertionError(f"the API does not listen:\n{log_file.read_text()}")
