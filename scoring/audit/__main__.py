"""The audit's main program: ``python -m scoring.audit --request R.json --out DIR``.

It writes ``report.json`` into DIR, also where nothing could be audited; the validator that started
it has no speech packages itself. Exit codes: 0 there is a report; 3 there is none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from scoring.audit.records import REPORT_NAME, AuditReport, AuditRequest

MAX_REQUEST_BYTES: Final = 64 << 20
MAX_MESSAGE_CHARS: Final = 2_000


def main() -> int:
    """Carry out one audit; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scoring.audit", description=__doc__)
    parser.add_argument("--request", type=Path, required=True, help="see audit/records.py")
    parser.add_argument("--out", type=Path, required=True, help="directory for the report")
    args = parser.parse_args()
    try:
        report = _report(_read(args.request), args.out)
        (args.out / REPORT_NAME).write_text(report.model_dump_json(indent=1) + "\n", "utf-8")
    except (OSError, ValidationError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the program's own output
        return 3
    return 0


def _read(path: Path) -> AuditRequest:
    with path.open("rb") as file:
        return AuditRequest.model_validate_json(file.read(MAX_REQUEST_BYTES))


def _report(request: AuditRequest, out: Path) -> AuditReport:
    try:
        # What they need may be missing, which is reported.
        from scoring.audit.disagreement import findings_of  # noqa: PLC0415
        from scoring.audit.protocol import OtherProtocolError  # noqa: PLC0415
        from scoring.audit.run import audit  # noqa: PLC0415
        from scoring.errors import ScoringError  # noqa: PLC0415
    except ImportError as error:
        return _unable(
            f"{sys.executable} lacks what audits need: {error}. Install it there with "
            "pip install -c constraints.txt -e '.[eval]', or name another with --audit_python"
        )
    try:
        return audit(request, out)
    except OtherProtocolError as error:
        report = _unable(f"{error.message}. {error.remedy}")
        return report.model_copy(update={"findings": findings_of(error.differences)})
    except ScoringError as error:
        return _unable(f"{error.message}. {error.remedy}")
    except MemoryError:
        return _unable("the audit ran out of memory")
    except Exception as error:  # noqa: BLE001 - outermost; recorded as our fault
        return _unable(f"unexpected {type(error).__name__}: {error}")


def _unable(message: str) -> AuditReport:
    return AuditReport(verdict="unable", message=message[:MAX_MESSAGE_CHARS])


if __name__ == "__main__":
    sys.exit(main())
