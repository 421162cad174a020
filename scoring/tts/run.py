"""The TTS competition as the evaluator's main program runs it."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import ValidationError

from scoring.contract import FailureCode, TtsRequest, TtsResult
from scoring.errors import ScoringError
from scoring.tts.pipeline import evaluate


def run(request: bytes, out: Path) -> TtsResult:
    """Parse the request and evaluate. Raises ScoringError."""
    try:
        parsed = TtsRequest.model_validate_json(request)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        raise ScoringError(
            FailureCode.BAD_REQUEST, f"{where}: {first['msg']} ({error.error_count()} errors)"
        ) from error
    return evaluate(parsed, out, progress=_report)


def _report(done: int, total: int) -> None:
    """One line per prompt on stderr; whoever launched us may follow it."""
    print(f"progress {done}/{total}", file=sys.stderr, flush=True)  # noqa: T201
