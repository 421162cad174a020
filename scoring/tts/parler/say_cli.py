"""``python -m scoring.tts.parler say``: speak a text with a checkpoint, into a WAV file.

Exit codes: 0 spoken; 2 the arguments or the checkpoint are at fault; 3 this machine is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from scoring.errors import ScoringError
from scoring.tts.parler.engine import ParlerEngine, SpeakRequest
from scoring.tts.parler.precision import DTYPES
from scoring.tts.parler.tokenizer import TextError

_EXAMPLE = """example:
  python -m scoring.tts.parler say --model var/model \\
      --description "A female speaker with a warm voice in a quiet room." \\
      "She said hello and walked home." -o hello.wav

exit codes: 0 spoken; 2 the arguments or the checkpoint are at fault; 3 this machine is"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    args = _parse(argv)
    try:
        return _say(args)
    except ScoringError as error:
        print(f"error: {error.message}\n{error.remedy}", file=sys.stderr)
        return 3 if error.code.fault == "evaluator" else 2
    except TextError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {args.out} cannot be written: {error}", file=sys.stderr)
        return 3


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scoring.tts.parler", description="Parler-TTS, spoken here."
    )
    commands = parser.add_subparsers(required=True)
    say = commands.add_parser(
        "say",
        help="speak a text into a WAV file",
        description="Speak a text with a Parler-TTS checkpoint.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    say.add_argument("text", help="what to say")
    say.add_argument("--model", type=Path, required=True, help="directory of the checkpoint")
    say.add_argument("--description", required=True, help="how to say it")
    say.add_argument("-o", "--out", type=Path, required=True, help="WAV file to write")
    say.add_argument("--base", type=Path, help="directory of the base model, to use its codec")
    say.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    say.add_argument(
        "--precision", choices=DTYPES, help="default: float32 on a cpu, bfloat16 on a GPU"
    )
    say.add_argument("--seed", type=int, default=0, help="another seed is another delivery")
    say.add_argument("--max-seconds", type=float, default=30.0, help="cap (default: 30)")
    return parser.parse_args(argv)


def _say(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    engine = ParlerEngine.load(
        args.model, device=args.device, base_dir=args.base, precision=args.precision
    )
    loaded = time.perf_counter()
    request = SpeakRequest(args.text, args.description, args.seed, args.max_seconds)
    pieces, first = [], 0.0
    for piece in _with_progress(engine.stream(request), engine.sample_rate, args.max_seconds):
        first = first or time.perf_counter() - loaded
        pieces.append(piece)
    spent = time.perf_counter() - loaded
    if not pieces:
        print("error: the model ended at once and said nothing", file=sys.stderr)
        return 2
    audio = np.concatenate(pieces)
    with args.out.open("wb") as file:
        soundfile.write(file, audio, engine.sample_rate, format="WAV")
    seconds = audio.size / engine.sample_rate
    print(
        f"{args.out}: {seconds:.2f} s of audio in {spent:.2f} s, real-time factor "
        f"{spent / seconds:.2f}; first sound after {first:.2f} s; loading took "
        f"{loaded - started:.2f} s"
    )
    return 0


def _with_progress(
    pieces: Iterator[NDArray[np.float32]], sample_rate: int, most_seconds: float
) -> Iterator[NDArray[np.float32]]:
    """Pass pieces on, showing how much of the most there can be is spoken."""
    columns = (TextColumn("speaking"), BarColumn(), TextColumn("{task.completed:.1f} s"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=most_seconds)
        for piece in pieces:
            progress.advance(task, piece.size / sample_rate)
            yield piece
        progress.update(task, total=progress.tasks[0].completed)
