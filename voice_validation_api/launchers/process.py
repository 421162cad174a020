"""Runs the evaluator as a process of this machine.

It shares machine, user and network with the worker: for rehearsal and for trusted models. What it
holds against accidents and simple attacks: a clean environment without any secret, a directory of
its own, limits on time, files and memory, and a kill of the whole process group at the end,
which comes too when the worker itself is killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import scoring
from voice_validation_api.launchers import guard
from voice_validation_api.launchers.base import LOG_BYTES, Ending, Job, Outcome

EVALUATOR = (sys.executable, "-m", "scoring.entrypoint")
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")
"""What the evaluator sees of the worker's environment."""
POLL_SECONDS = 0.05
MEASURE_SECONDS = 1.0


class ProcessLauncher:
    """``command`` is called with ``tts --request FILE --out DIRECTORY``."""

    def __init__(self, command: Sequence[str] = EVALUATOR) -> None:
        self._command = tuple(command)

    def run(self, job: Job, interrupted: Callable[[], bool]) -> Outcome:
        """See ``Launcher.run``. Raises OSError when the workspace cannot be written."""
        request = job.workspace / "request.json"
        request.write_text(job.request.model_dump_json(), "utf-8")
        for name in ("out", "home", "tmp"):
            (job.workspace / name).mkdir(exist_ok=True)
        command = [*self._command, job.competition_id]
        command += ["--request", str(request), "--out", str(job.out)]
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, json.dumps(_rlimits(job)), *command],
            cwd=job.workspace,
            env=_environment(job),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdin is not None
        log = _LogTail(process)
        try:
            ending = _watch(
                process.pid, job, interrupted, deadline=started + job.limits.wall_seconds
            )
        finally:
            # Not reaped yet, so the number still names our group and nobody else's.
            os.killpg(process.pid, signal.SIGKILL)
            exit_code = process.wait()
            process.stdin.close()
            text = log.close()
        return Outcome(
            ending=ending,
            exit_code=_shell_code(exit_code) if ending is Ending.EXITED else None,
            seconds=time.monotonic() - started,
            log=text,
        )


def _environment(job: Job) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "HOME": str(job.workspace / "home"),
        "TMPDIR": str(job.workspace / "tmp"),
        "PYTHONPATH": str(Path(scoring.__file__).parent.parent),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(job.threads),
        "CUDA_VISIBLE_DEVICES": "" if job.gpu is None else str(job.gpu),
    }


def _rlimits(job: Job) -> dict[str, int]:
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": job.limits.output_bytes}
    if job.limits.memory_bytes is not None:
        limits["RLIMIT_AS"] = job.limits.memory_bytes
    return limits


def _watch(pid: int, job: Job, interrupted: Callable[[], bool], *, deadline: float) -> Ending:
    measure_at = time.monotonic() + MEASURE_SECONDS
    # WNOWAIT: see that it has ended, and leave it to be reaped.
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        now = time.monotonic()
        if interrupted():
            return Ending.INTERRUPTED
        if now > deadline:
            return Ending.TIME_LIMIT
        if now > measure_at:
            if _written(job) > job.limits.output_bytes:
                return Ending.OUTPUT_LIMIT
            measure_at = time.monotonic() + MEASURE_SECONDS
        time.sleep(POLL_SECONDS)
    return Ending.OUTPUT_LIMIT if _written(job) > job.limits.output_bytes else Ending.EXITED


def _written(job: Job) -> int:
    return sum(_bytes_below(job.workspace / name) for name in ("out", "home", "tmp"))


def _bytes_below(root: Path) -> int:
    return sum(_size(Path(folder, name)) for folder, _, files in os.walk(root) for name in files)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _shell_code(code: int) -> int:
    # Negative when the guard itself was killed, as by the system when memory ran out.
    return code if code >= 0 else 128 - code


class _LogTail:
    """Reads all that a process prints and keeps the end of it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._stream = process.stdout
        self._tail = bytearray()
        self._dropped = 0
        # A daemon, because a process that left the group could hold the pipe open for ever.
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> str:
        """The end of the output, after the process group was killed."""
        self._thread.join(timeout=5.0)
        text = bytes(self._tail).decode("utf-8", "replace")
        return f"[{self._dropped} bytes left out]\n{text}" if self._dropped else text

    def _read(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), 1 << 16):
                self._tail += chunk
                excess = max(0, len(self._tail) - LOG_BYTES)
                del self._tail[:excess]
                self._dropped += excess
