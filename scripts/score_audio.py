"""Score recordings, whoever or whatever spoke them.

Exit codes: 0 every case has a row; 2 the arguments or the cases are at fault; 3 this machine is;
130 interrupted. Unless the exit code is 0, nothing is written.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.progress import track
from rich.text import Text

from scoring.asr.base import Recogniser
from scoring.asr.load import load_recogniser
from scoring.asr.perturb import perturb
from scoring.audio import read_audio
from scoring.contract import AsrSpec
from scoring.entrypoint import EXIT_CODES
from scoring.errors import ScoringError, UnscorableAudioError
from scoring.metrics.human_likeness import HumanLikeness
from scoring.metrics.wer import sample_wer, word_errors
from scoring.tts.human_floor import joint_floor
from scoring.tts.total import sample_score

# One for all, so that a recording scores the same wherever it is listed.
PERTURBATION_SEED = 0

EXAMPLE = """\
example:
  $ cat cases.jsonl
  {"audio": "clips/hello.wav", "text": "Hello there, how are you?"}
  {"audio": "clips/unknown.flac", "text": null, "speaker": "any other field is kept"}
  $ python scripts/score_audio.py cases.jsonl --out scores.jsonl

Paths are relative to the file of cases. Each row of the output is the case and:
  wer             word error rate against the text; may exceed 1; null without a text
  human_likeness  0 to 1
  score           human_likeness x (1 - wer beyond that of people), 0 to 1; null without a text
  components      the parts that human_likeness is made of
  rejected        null, or why this audio cannot be scored; then all of the above are null

Exit codes: 0 every case has a row; 2 the arguments or the cases are at fault; 3 this machine is;
130 interrupted. Unless the exit code is 0, nothing is written.
"""


class Case(BaseModel):
    """What is read of one line of the cases; other fields are passed through."""

    model_config = ConfigDict(extra="ignore", strict=True)

    audio: str = Field(min_length=1)
    text: str | None = None


class CasesError(Exception):
    """The file of cases is wrong; the message says where."""


@dataclass(frozen=True)
class Line:
    """One case, and the line it came from with every field it had."""

    case: Case
    fields: dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Score what the arguments name and return the exit code."""
    args = _parse(argv)
    errors = Console(stderr=True)
    try:
        lines = read_cases(args.cases)
        spec = AsrSpec(engine=args.asr_engine, model=args.asr)
        recogniser = load_recogniser(spec, device=args.device)
        likeness = HumanLikeness()
        progress = track(lines, "scoring", console=errors)
        rows = [_row(line, args.cases.parent, recogniser, likeness) for line in progress]
        _write(args.out, rows)
    except CasesError as error:
        errors.print(Text(f"error: {error}", style="bold red"), soft_wrap=True)
        return 2
    except ScoringError as error:
        errors.print(Text(f"error: {error.message}", style="bold red"), soft_wrap=True)
        errors.print(Text(error.remedy), soft_wrap=True)
        return EXIT_CODES[error.code.fault]
    except OSError as error:
        errors.print(Text(f"error: {error}", style="bold red"), soft_wrap=True)
        return 3
    except KeyboardInterrupt:
        errors.print("interrupted", soft_wrap=True)
        return 130
    rejected = sum(row["rejected"] is not None for row in rows)
    Console().print(
        Text(f"{args.out}: {len(rows) - rejected} scored, {rejected} rejected"), soft_wrap=True
    )
    return 0


def read_cases(path: Path) -> list[Line]:
    """Read JSON Lines; empty lines are skipped. Raises CasesError, naming the file and the line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CasesError(f"{path} cannot be read: {error}") from error
    numbered = enumerate(text.split("\n"), start=1)
    lines = [_line(line, f"{path}:{number}") for number, line in numbered if line.strip()]
    if not lines:
        raise CasesError(f"{path} has no cases")
    return lines


def _line(line: str, place: str) -> Line:
    try:
        fields = json.loads(line, parse_constant=_refuse_constant)
        return Line(Case.model_validate(fields), fields)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the line"
        raise CasesError(f"{place}: {where}: {problem['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise CasesError(f"{place}: not JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _row(
    line: Line, directory: Path, recogniser: Recogniser, likeness: HumanLikeness
) -> dict[str, Any]:
    """The fields of the line, and its scores or the reason why there are none."""
    row: dict[str, Any] = {
        **line.fields,
        "wer": None,
        "human_likeness": None,
        "score": None,
        "components": None,
        "rejected": None,
    }
    try:
        audio = read_audio(directory / line.case.audio)
        measure = likeness.measure(audio)
    except UnscorableAudioError as error:
        row["rejected"] = str(error)
        return row
    row.update(human_likeness=measure.value, components=dict(measure.details))
    if line.case.text is not None:
        transcript = recogniser.transcribe(perturb(audio, PERTURBATION_SEED))
        wer = sample_wer(word_errors(line.case.text, transcript))
        floor = joint_floor([recogniser.info])
        row.update(wer=wer, score=sample_score(wer, measure.value, floor=floor))
    return row


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write all rows or, where that fails, nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Score recordings: word error rate, human likeness and the score of the two.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", type=Path, metavar="CASES.jsonl", help="one JSON object a line")
    parser.add_argument("--out", type=Path, required=True, metavar="SCORES.jsonl")
    parser.add_argument("--asr", default="packaged", help="packaged, a Whisper size or a directory")
    parser.add_argument(
        "--asr_engine",
        default="faster-whisper",
        choices=("faster-whisper", "openai-whisper"),
        help="faster-whisper (default) or openai-whisper",
    )
    parser.add_argument(
        "--device", type=_device, default="cpu", help="cpu (default), cuda or cuda:N"
    )
    return parser.parse_args(argv)


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is none of cpu, cuda and cuda:N")
    return text


if __name__ == "__main__":
    sys.exit(main())
