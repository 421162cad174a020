"""Programs that the demo starts, waits for, watches and stops."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx2

READY_SECONDS = 90.0
RUN_SECONDS = 180.0
STOP_SECONDS = 20.0
LOG_LINES_SHOWN = 15
_PR_SET_PDEATHSIG = 1


class DemoError(Exception):
    """The demo cannot go on; the message says which program failed and where its log is."""


@dataclass(frozen=True)
class Service:
    """A Python program of this repository; ready once ``ready_url`` answers, if it has one."""

    name: str
    argv: tuple[str, ...]
    ready_url: str | None


@dataclass
class Stack:
    """The running programs, in the order in which they were started.

    ``environment`` is all that they get: nothing of the shell that the demo was started from.
    """

    environment: Mapping[str, str]
    logs: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, service: Service) -> None:
        """Start a program and wait until it answers. Raises DemoError."""
        with self._log(service.name).open("wb") as log:
            self.processes[service.name] = subprocess.Popen(
                [sys.executable, *service.argv], env=self.environment, **self._apart(log)
            )
        url = service.ready_url
        if url is not None:
            self.wait_until(lambda: _answers(url), READY_SECONDS, service.name)

    def run(self, name: str, *command: str, **environment: str) -> None:
        """Run a Python program to its end. Raises DemoError."""
        with self._log(name).open("wb") as log:
            try:
                done = subprocess.run(
                    [sys.executable, *command],
                    env={**self.environment, **environment},
                    check=False,
                    timeout=RUN_SECONDS,
                    **self._apart(log),
                )
            except subprocess.TimeoutExpired as error:
                raise DemoError(
                    f"{name} took more than {RUN_SECONDS:.0f} s; {self._end_of(name)}"
                ) from error
        if done.returncode != 0:
            raise DemoError(f"{name} failed with exit code {done.returncode}; {self._end_of(name)}")

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait while all programs run. Raises DemoError."""

        def holds() -> bool:
            self.check()
            return condition()

        wait_until(holds, seconds, what)

    def wait_for_line(self, name: str, text: str) -> None:
        """Wait until a program has logged a line with ``text`` in it. Raises DemoError."""
        log = self._log(name)
        self.wait_until(
            lambda: text in log.read_text("utf-8", "replace"),
            READY_SECONDS,
            f"'{text}' in {log}",
        )

    def check(self) -> None:
        """Raise DemoError, with the end of its log, for a program that has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise DemoError(
                    f"{name} ended with exit code {process.returncode}; {self._end_of(name)}"
                )

    def stop(self) -> None:
        """Stop everything, the last started first; what does not listen is killed."""
        for process in reversed(self.processes.values()):
            if process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _end_of(self, name: str) -> str:
        lines = self._log(name).read_text("utf-8", "replace").splitlines()
        return f"the end of {self._log(name)}:\n" + "\n".join(lines[-LOG_LINES_SHOWN:])

    def _apart(self, log: IO[bytes]) -> dict[str, Any]:
        return {
            # Not where a .env file may name somebody's real database.
            "cwd": self.logs,
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": subprocess.STDOUT,
            # Out of our terminal's group: on Ctrl-C they are stopped in order, by us.
            "start_new_session": True,
            "preexec_fn": _die_with_parent,
        }


@contextmanager
def running(environment: Mapping[str, str], logs: Path) -> Iterator[Stack]:
    """A stack to start programs in; stops them all when the block ends, however it ends."""
    logs.mkdir(parents=True, exist_ok=True)
    stack = Stack(environment, logs)
    try:
        yield stack
    finally:
        stack.stop()


def free_port() -> int:
    """A TCP port on the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until ``condition`` holds. Raises DemoError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(f"{what} was not ready within {seconds:.0f} s")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5.0).status_code < 500
    except httpx2.TransportError:
        return False


def _die_with_parent() -> None:
    """Ask Linux to terminate this child should the demo be killed; see prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
