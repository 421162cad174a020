"""The evaluator's main program: ``python -m scoring.entrypoint tts --request R.json --out DIR``.

It writes ``result.json`` and the audio into DIR. Exit codes: 0 a score was reached; 2 the request
or the submission is at fault; 3 the evaluator is. ``result.json`` tells more in every case in
which DIR can be written.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoring.contract import Failure, FailureCode, TtsResult
from scoring.errors import ScoringError

# Each competition is a module with ``run(request: bytes, out: Path) -> TtsResult``; a new one is
# a new folder and a new line here.
COMPETITIONS = {"tts": "scoring.tts.run"}
MAX_REQUEST_BYTES = 64 << 20

EXIT_CODES = {"request": 2, "submission": 2, "evaluator": 3}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one evaluation and return the exit code."""
    args = _parse(argv)
    try:
        result = _evaluate(args.competition, args.request, args.out)
        write_result(result, args.out)
    except OSError as error:
        # Nothing more can be written: the exit code and the log have to do.
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the program's own output
        return 3
    if result.failure is None:
        return 0
    failure = result.failure
    print(  # noqa: T201 - the program's own output
        f"error {failure.code.value} ({failure.code.fault}): {failure.message}\n{failure.remedy}",
        file=sys.stderr,
    )
    return EXIT_CODES[failure.code.fault]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scoring.entrypoint",
        description="Evaluate one submission: speak, transcribe, score.",
        epilog="Exit codes: 0 scored; 2 request or submission at fault; 3 evaluator at fault.",
    )
    parser.add_argument("competition", choices=sorted(COMPETITIONS))
    parser.add_argument(
        "--request", type=Path, required=True, help="JSON file, see TtsRequest in contract.py"
    )
    parser.add_argument("--out", type=Path, required=True, help="directory for result and audio")
    return parser.parse_args(argv)


def _evaluate(competition: str, request: Path, out: Path) -> TtsResult:
    """Run the competition; every way to fail becomes a typed result."""
    try:
        module: Any = importlib.import_module(COMPETITIONS[competition])
        result: TtsResult = module.run(_read_request(request), out)
        return result
    except ScoringError as error:
        return _failed(error.as_failure())
    except MemoryError:
        return _failed(
            Failure(code=FailureCode.OUT_OF_MEMORY, message="the evaluator ran out of memory")
        )
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"the disk is full: {error}"
            return _failed(Failure(code=FailureCode.DISK_FULL, message=message))
        return _failed(_unexpected(error))
    except Exception as error:  # noqa: BLE001 - outermost loop; recorded as our fault
        return _failed(_unexpected(error))


def _read_request(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_REQUEST_BYTES:
            raise ScoringError(FailureCode.BAD_REQUEST, f"{path} exceeds {MAX_REQUEST_BYTES} bytes")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ScoringError(FailureCode.BAD_REQUEST, f"there is no request at {path}") from error


def _unexpected(error: Exception) -> Failure:
    message = f"unexpected {type(error).__name__}: {error}"
    return Failure(code=FailureCode.EVALUATOR_ERROR, message=message[:4_000])


def _failed(failure: Failure) -> TtsResult:
    return TtsResult(status="FAILED", failure=failure)


def write_result(result: TtsResult, out: Path) -> None:
    """Write ``result.json`` whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    partial = out / "result.json.partial"
    partial.write_text(json.dumps(result.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    partial.replace(out / "result.json")


if __name__ == "__main__":
    sys.exit(main())
