"""What a launcher is: it runs one evaluation somewhere, within limits, and says how it ended.

A launcher judges nothing. What an ending means is for ``failures.py``, and what the evaluator
wrote is for ``result_intake.py``: both are a stranger's until read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from scoring.contract import TtsRequest

LOG_BYTES = 64 * 1024
"""How much of the end of an evaluator's output is kept."""


class LauncherUnavailableError(Exception):
    """The launcher that was asked for cannot work here; the message says what to do."""


@dataclass(frozen=True)
class Limits:
    """What one evaluation may use.

    ``memory_bytes`` bounds what a container uses, and a process's address space; None: whatever
    the launcher finds right.
    """

    wall_seconds: float
    output_bytes: int
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Job:
    """One evaluation. Everything it writes lies below ``workspace``.

    ``gpu`` is the number of the one GPU that it sees, None for none; ``threads`` its share of the
    processor.
    """

    competition_id: str
    request: TtsRequest
    workspace: Path
    limits: Limits
    gpu: int | None = None
    threads: int = 1

    @property
    def out(self) -> Path:
        """Where the evaluator leaves ``result.json`` and the audio."""
        return self.workspace / "out"


class Ending(str, Enum):
    """Why an evaluation is over."""

    EXITED = "EXITED"
    """By itself; killed by the system counts too."""
    TIME_LIMIT = "TIME_LIMIT"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    INTERRUPTED = "INTERRUPTED"
    """Because the worker asked for it."""


@dataclass(frozen=True)
class Outcome:
    """How an evaluation ended. ``exit_code`` is 128 + n after signal n; None unless EXITED."""

    ending: Ending
    exit_code: int | None
    seconds: float
    log: str


class Launcher(Protocol):
    """Runs evaluations, several at a time from different threads."""

    def run(self, job: Job, interrupted: Callable[[], bool]) -> Outcome:
        """Carry out ``job`` and leave nothing of it running.

        ``interrupted`` is asked several times a second; once it is true the evaluation is killed.
        """
