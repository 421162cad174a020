"""How fast is the engine beside parler-tts, and beside what a device can do? JSON last.

    PARLER_REFERENCE_PYTHON=var/reference/bin/python python benchmarks/engine.py
    python benchmarks/engine.py --device cuda

Without ``--device``: greedy decoding of a miniature with random weights, on one CPU thread and
without the codec. Both sides take turns in one run, and all that is compared are ratios of one
turn. parler-tts runs in an environment of its own, which `scripts/reference/make_goldens.py` says
how to make; without one the comparison is skipped, which is no failure.

With ``--device``: a step's time at several numbers of slots beside its floor (what reading memory
once takes there), the time to the first sound, and a whole evaluation, of mini v1's shape with
random weights.

Exit codes: 0 measured and within the aims, or skipped; 1 an aim was missed; 2 the sides did not do
the same work, or there is no such device.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # not this folder, whose queue.py would hide Python's

import torch  # noqa: E402

from benchmarks.decoding import on_device, ours  # noqa: E402
from benchmarks.decoding.model import SHAPES, make_checkpoint  # noqa: E402
from benchmarks.decoding.reference import Reference, Timing  # noqa: E402
from scoring.tts.parler import ParlerEngine  # noqa: E402

REFERENCE_VARIABLE = "PARLER_REFERENCE_PYTHON"
SLOTS = 32
CODEBOOKS = 9
AIM_SEQUENTIAL = 8.0
AIM_BATCHED = 2.0
AIM_MEMORY = 1.3
DEVICE_SLOTS = {"cpu": (1, 4, 32), "cuda": (1, 32, 128, 256)}
AIM_FLOOR = 2.0
AIM_FIRST_SOUND_MS = 150.0
AIM_END_TO_END = 400.0
DESCRIPTION = "A female speaker with a warm voice speaks in a quiet room."
PROMPTS = ["She said hello and " + "little " * (n % 10) + f"home {n}." for n in range(SLOTS)]


@dataclass(frozen=True)
class Turn:
    """One turn of every side."""

    sequential: Timing
    batched: Timing
    ours: Timing


class UnequalWorkError(Exception):
    """The sides cannot be compared; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure the engine beside parler-tts.")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side")
    parser.add_argument(
        "--columns", type=int, help="steps of each utterance (default: 3 s; with --device 6 s)"
    )
    parser.add_argument(
        "--sequential", type=int, default=4, help="prompts that parler-tts speaks one by one"
    )
    parser.add_argument("--quick", action="store_true", help="one short turn: a smoke test")
    parser.add_argument("--device", help="measure this one alone: cpu, cuda or cuda:N")
    parser.add_argument("--prompts", type=int, default=1_000, help="of a whole evaluation")
    parser.add_argument("--shape", choices=SHAPES, default="mini-v1", help="with --device")
    args = parser.parse_args(argv)
    repeats, sequential = args.repeats, args.sequential
    columns = args.columns or (259 if args.device is None else 526)
    if args.quick:
        repeats, columns, sequential = 1, 2 * on_device.SHORT, 1
    if args.device is not None:
        prompts = 4 if args.quick else args.prompts
        return _on_device(args.device, args.shape, repeats, columns, prompts)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        model_dir = Path(scratch) / "model"
        make_checkpoint(model_dir, SHAPES["miniature"], columns=columns)
        report: dict[str, Any] = {"benchmark": "engine", "columns": columns, "slots": SLOTS}
        report |= _own_figures(model_dir)
        python = os.environ.get(REFERENCE_VARIABLE)
        if python is None:
            report["skipped"] = f"no comparison: {REFERENCE_VARIABLE} names no python"
            print(json.dumps(report))
            return 0
        with Reference(Path(python), model_dir) as reference:
            report["versions"] = {"ours": torch.__version__, "parler_tts": reference.versions}
            report["threads"] = {"ours": torch.get_num_threads(), "parler_tts": reference.threads}
            engine = ParlerEngine.load(model_dir, device="cpu")
            try:
                turns = _turns(engine, reference, repeats, sequential)
            except UnequalWorkError as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
    report |= _compared(turns, CODEBOOKS)
    missed = _missed(report)
    report["missed"] = missed
    print(json.dumps(report))
    return 1 if missed and not args.quick else 0


def _on_device(device: str, shape: str, repeats: int, columns: int, prompts: int) -> int:
    kind, _, index = device.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        print(f"error: torch sees no device {device} here", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name(device) if kind == "cuda" else "cpu"
    slots = DEVICE_SLOTS[kind]
    with tempfile.TemporaryDirectory() as scratch:
        make_checkpoint(Path(scratch), SHAPES[shape], columns=columns)
        report: dict[str, Any] = {"benchmark": "engine", "device": name, "shape": shape}
        report |= on_device.measured(
            Path(scratch),
            device,
            slots=slots,
            columns=columns,
            repeats=repeats,
            prompts=prompts,
        )
    last = report["decoding"][-1]
    report["missed"] = missed = _missed_on_gpu(last, report) if kind == "cuda" else []
    print(json.dumps(report))
    return 1 if missed else 0


def _missed_on_gpu(widest: dict[str, Any], report: dict[str, Any]) -> list[str]:
    missed = []
    if widest["times_floor"] > AIM_FLOOR:
        missed.append(f"a step of {widest['slots']} slots takes more than {AIM_FLOOR} × its floor")
    if report["first_sound_ms"] > AIM_FIRST_SOUND_MS:
        missed.append(f"the first sound comes after more than {AIM_FIRST_SOUND_MS} ms")
    if report["end_to_end"]["audio_seconds_per_second"] < AIM_END_TO_END:
        missed.append(f"a whole evaluation makes less than {AIM_END_TO_END} s of audio a second")
    return missed


def _own_figures(model_dir: Path) -> dict[str, Any]:
    figures = ours.cold_start(model_dir, PROMPTS, DESCRIPTION)
    figures |= ours.memory(model_dir, PROMPTS, DESCRIPTION)
    figures["ratio_memory"] = figures["peak_mib"] / figures["weights_and_cache_mib"]
    return {name: round(value, 3) for name, value in figures.items()}


def _turns(engine: ParlerEngine, reference: Reference, repeats: int, sequential: int) -> list[Turn]:
    """Take turns, after one that warms both sides up and is not counted."""
    threads = torch.get_num_threads()
    if threads != reference.threads:
        raise UnequalWorkError(f"{threads} threads here, {reference.threads} in parler-tts")
    ours.greedy(engine, PROMPTS[:2], DESCRIPTION)
    reference.generate(PROMPTS[:1], DESCRIPTION)
    turns = []
    for _ in range(repeats):
        single = [reference.generate([prompt], DESCRIPTION) for prompt in PROMPTS[:sequential]]
        one_by_one = Timing(
            sum(timing.seconds for timing in single),
            sum(timing.cpu_seconds for timing in single),
            tuple(columns for timing in single for columns in timing.columns),
        )
        batched = reference.generate(PROMPTS, DESCRIPTION)
        turn = Turn(one_by_one, batched, ours.greedy(engine, PROMPTS, DESCRIPTION))
        if turn.ours.columns != batched.columns:
            raise UnequalWorkError(f"columns differ: {turn.ours.columns} and {batched.columns}")
        if turn.ours.columns[:sequential] != one_by_one.columns:
            raise UnequalWorkError(f"columns differ from one by one: {one_by_one.columns}")
        turns.append(turn)
    return turns


def _compared(turns: list[Turn], codebooks: int) -> dict[str, Any]:
    sides = {
        name: [getattr(turn, name) for turn in turns] for name in ("sequential", "batched", "ours")
    }
    rates = {name: [_rate(timing) for timing in side] for name, side in sides.items()}
    cpu = {name: [_rate(t, cpu=True) for t in side] for name, side in sides.items()}
    return {
        "repeats": len(turns),
        "tokens": {name: codebooks * sum(side[0].columns) for name, side in sides.items()},
        "columns_per_second": {n: round(statistics.median(r), 1) for n, r in rates.items()},
        "columns_per_cpu_second": {n: round(statistics.median(r), 1) for n, r in cpu.items()},
        "ratio_vs_sequential": _ratio(rates, "sequential"),
        "ratio_vs_batched": _ratio(rates, "batched"),
        "cpu_ratio_vs_sequential": _ratio(cpu, "sequential"),
        "cpu_ratio_vs_batched": _ratio(cpu, "batched"),
    }


def _rate(timing: Timing, *, cpu: bool = False) -> float:
    return sum(timing.columns) / (timing.cpu_seconds if cpu else timing.seconds)


def _ratio(rates: dict[str, list[float]], other: str) -> float:
    pairs = zip(rates["ours"], rates[other], strict=True)
    return round(statistics.median(mine / theirs for mine, theirs in pairs), 2)


def _missed(report: dict[str, Any]) -> list[str]:
    missed = []
    if report["ratio_vs_sequential"] < AIM_SEQUENTIAL:
        missed.append(f"ratio_vs_sequential is below {AIM_SEQUENTIAL}")
    if report["ratio_vs_batched"] < AIM_BATCHED:
        missed.append(f"ratio_vs_batched is below {AIM_BATCHED}")
    if report["ratio_memory"] > AIM_MEMORY:
        missed.append(f"ratio_memory is above {AIM_MEMORY}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
