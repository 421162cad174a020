"""Audits run as a program of their own, with the packages that validators do without.

It may load strangers' weights. It has no key in its environment, takes no more memory than it is
given, and is killed when its time is over; it runs as the validator's user all the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

import scoring
from neurons.validator_audit_memory import LEAST_BYTES, machine_bytes, memory_limit
from scoring.audit.records import REPORT_NAME, AuditReport, AuditRequest, tells_of_memory

MAX_REPORT_BYTES: Final = 1 << 20
PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "CUDA_VISIBLE_DEVICES")
_LOG_BYTES: Final = 1 << 16
_LOG_CHARS: Final = 500
_GIB: Final = 1 << 30
_INSTALL: Final = (
    "Install the extra eval (pip install -c constraints.txt -e '.[eval]') and name that Python "
    "with --audit_python"
)


def run_audit(
    request: AuditRequest,
    place: Path,
    *,
    python: Path,
    seconds: float,
    memory_bytes: int | None = None,
) -> AuditReport:
    """Carry an audit out in the directory ``place``. Raises OSError where that is not writable.

    ``memory_bytes`` is all that it may allocate; None: as its model needs and this machine has.
    """
    if memory_bytes is None:
        memory_bytes = memory_limit(request, machine_bytes())
    if memory_bytes < LEAST_BYTES:
        return _too_little(memory_bytes, "its packages alone take more")
    place = place.absolute()  # the program works there
    out, log = place / "out", place / "log"
    for directory in (out, place / "home"):
        directory.mkdir()
    path = place / "request.json"
    path.write_text(request.model_dump_json(), "utf-8")
    # The link is kept: it is what makes a virtual environment one.
    command = [str(python.absolute()), "-m", "scoring.audit"]
    command += ["--request", str(path), "--out", str(out), "--memory_bytes", str(memory_bytes)]
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                command,
                cwd=place,
                env=_environment(place),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return _unable(f"{python} cannot be started: {error.strerror}. {_INSTALL}")
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return _unable(f"no report in {seconds:.0f} s; AUDIT_SECONDS says how long it may take")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    report = _report(out / REPORT_NAME, code, log)
    if report.lacks != "memory":
        return report
    return _too_little(memory_bytes, report.message)


def _report(path: Path, code: int, log: Path) -> AuditReport:
    try:
        with path.open("rb") as file:
            return AuditReport.model_validate_json(file.read(MAX_REPORT_BYTES))
    except FileNotFoundError:
        text = _end_of(log)
        said = text[-_LOG_CHARS:].strip()
        if code == -signal.SIGKILL or tells_of_memory(text):
            # The system kills whom it has no memory for; and libraries end where they find none.
            return _unable(f"no report, exit code {code}: {said}", lacks="memory")
        return _unable(f"no report, exit code {code}: {said}. {_INSTALL}")
    except ValidationError as error:
        return _unable(f"the report cannot be read: {error.errors()[0]['msg']}")


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_BYTES))
        return file.read(_LOG_BYTES).decode("utf-8", "replace")


def _environment(place: Path) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "HOME": str(place / "home"),
        # The code of this validator, whatever that environment has of it.
        "PYTHONPATH": str(Path(scoring.__file__).parent.parent),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
    }


def _too_little(memory_bytes: int, why: str) -> AuditReport:
    limit = f"an audit may take {memory_bytes / _GIB:.1f} GiB here"
    return _unable(f"{limit}, which was too little: {why}", lacks="memory")


def _unable(message: str, *, lacks: Literal["memory"] | None = None) -> AuditReport:
    return AuditReport(verdict="unable", message=message[:2_000], lacks=lacks)
