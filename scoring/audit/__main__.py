"""The audit's main program: ``python -m scoring.audit --request R.json --out DIR``.

It writes ``report.json`` into DIR, also where nothing could be audited; the validator that started
it has no speech packages itself. With --memory_bytes it takes no more memory than that: it may load
weights of strangers. Exit codes: 0 there is a report; 3 there is none.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from scoring.audit.records import REPORT_NAME, AuditReport, AuditRequest, tells_of_memory

MAX_REQUEST_BYTES: Final = 64 << 20
MAX_MESSAGE_CHARS: Final = 2_000
FULL_SHARE: Final = 0.75


def main() -> int:
    """Carry out one audit; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scoring.audit", description=__doc__)
    parser.add_argument("--request", type=Path, required=True, help="see audit/records.py")
    parser.add_argument("--out", type=Path, required=True, help="directory for the report")
    parser.add_argument("--memory_bytes", type=int, help="no more than this is ever allocated")
    args = parser.parse_args()
    if args.memory_bytes is not None:
        # Data, and not address space: CUDA reserves far more addresses than it ever uses.
        resource.setrlimit(resource.RLIMIT_DATA, (args.memory_bytes, args.memory_bytes))
    try:
        report = _report(_read(args.request), args.out, args.memory_bytes)
        (args.out / REPORT_NAME).write_text(report.model_dump_json(indent=1) + "\n", "utf-8")
    except (OSError, ValidationError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the program's own output
        return 3
    return 0


def _read(path: Path) -> AuditRequest:
    with path.open("rb") as file:
        return AuditRequest.model_validate_json(file.read(MAX_REQUEST_BYTES))


def _report(request: AuditRequest, out: Path, memory_bytes: int | None) -> AuditReport:
    try:
        return _audited(request, out)
    except ImportError as error:
        message = (
            f"{sys.executable} lacks what audits need: {error}. Install it there with "
            "pip install -c constraints.txt -e '.[eval]', or name another with --audit_python"
        )
        return _unable(message, lacking=tells_of_memory(str(error)) or _is_full(memory_bytes))
    except Exception as error:  # noqa: BLE001 - outermost; recorded as our fault
        # Packages tell of memory by words alone, if at all: but what they took is still there.
        lacking = isinstance(error, MemoryError) or tells_of_memory(str(error))
        lacking = lacking or _is_full(memory_bytes)
        return _unable(f"unexpected {type(error).__name__}: {error}", lacking=lacking)


def _audited(request: AuditRequest, out: Path) -> AuditReport:
    # What they need may be missing, which is reported.
    from scoring.audit.disagreement import findings_of  # noqa: PLC0415
    from scoring.audit.protocol import OtherProtocolError  # noqa: PLC0415
    from scoring.audit.run import audit  # noqa: PLC0415
    from scoring.contract import FailureCode  # noqa: PLC0415
    from scoring.errors import ScoringError  # noqa: PLC0415

    try:
        return audit(request, out)
    except OtherProtocolError as error:
        report = _unable(f"{error.message}. {error.remedy}")
        return report.model_copy(update={"findings": findings_of(error.differences)})
    except ScoringError as error:
        lacking = error.code is FailureCode.OUT_OF_MEMORY or tells_of_memory(error.message)
        return _unable(f"{error.message}. {error.remedy}", lacking=lacking)


def _is_full(memory_bytes: int | None) -> bool:
    """Whether so much of what may be allocated is, that the next piece may have been too much."""
    if memory_bytes is None:
        return False
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    used = next((int(line.split()[1]) for line in lines if line.startswith("VmData:")), 0)
    return used * 1_024 > FULL_SHARE * memory_bytes


def _unable(message: str, *, lacking: bool = False) -> AuditReport:
    return AuditReport(
        verdict="unable",
        message=message[:MAX_MESSAGE_CHARS],
        lacks="memory" if lacking else None,
    )


if __name__ == "__main__":
    sys.exit(main())
