"""Carry a published evaluation out again, and show where the two disagree.

Without --audio the model speaks again and everything is compared. With --audio the published clips
are transcribed and scored again, which needs no model; a --model_dir given as well must then have
the published weights digest.

Whatever the manifest contradicts by itself is shown in either case. On the same machine with the
same versions every figure must be equal; scoring/comparison.py states the tolerances elsewhere.

Exit codes: 0 the two agree; 1 they disagree; 2 the manifest or the arguments are at fault; 3 this
machine is; 130 interrupted.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from scoring.asr.base import heard_at_a_time
from scoring.comparison import (
    EXACT,
    RESCORED,
    Difference,
    differences,
    inconsistencies,
    protocol_differences,
    respoken_rules,
    same_circumstances,
)
from scoring.contract import FailureCode, ParlerModel, Sample, TtsRequest, TtsResult
from scoring.entrypoint import EXIT_CODES
from scoring.errors import ScoringError, UnscorableAudioError
from scoring.manifest import MANIFEST_NAME, Manifest, current_protocol, this_machine
from scoring.tts.clips import Clip, Measured, measured, perturbed
from scoring.tts.judge import Judge
from scoring.tts.pipeline import evaluate, summarise
from scoring.tts.samples import in_blocks, listen
from scoring.tts.seeds import prompt_seed
from scoring.weights_digest import SafetensorsError, weights_digest

MAX_MANIFEST_BYTES = 128 << 20
MOST_ROWS = 50

EXAMPLES = """\
examples:
  python scripts/verify_evaluation.py var/evaluate/my-finetune/manifest.json
  python scripts/verify_evaluation.py manifest.json --model_dir ./my-finetune --device cuda
  python scripts/verify_evaluation.py manifest.json --audio published/audio
"""

Report = Callable[[int, int], None]


class BadInputError(Exception):
    """The manifest or an argument is wrong; the message says how."""


@dataclass(frozen=True)
class Repetition:
    """What came of doing it again, and whether it had to be the same to the last bit."""

    differences: list[Difference]
    exact: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Verify what the arguments name and return the exit code."""
    args = _parse(argv)
    errors = Console(stderr=True)
    try:
        manifest = read_manifest(args.manifest)
        found = inconsistencies(manifest)
        repetition = _repeat(manifest, args, errors)
    except BadInputError as error:
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
    return _conclude([*found, *repetition.differences], exact=repetition.exact)


def read_manifest(path: Path) -> Manifest:
    """The manifest in ``path``. Raises BadInputError where that is none of a scored evaluation."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_MANIFEST_BYTES:
        raise BadInputError(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BadInputError(f"{path} is not a manifest: {where}: {first['msg']}") from error
    if manifest.result.aggregate is None or manifest.result.asr is None:
        raise BadInputError(f"{path} describes an evaluation without a score")
    if any(sample.errors is None for sample in manifest.result.samples):
        raise BadInputError(f"{path} has a sample without word errors")
    return manifest


def _repeat(manifest: Manifest, args: argparse.Namespace, errors: Console) -> Repetition:
    request = _request(manifest.request, args)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
    ) as bar:
        task = bar.add_task("scoring again" if args.audio else "speaking again", total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if args.audio:
            return _rescore(manifest, request, args, report)
        with tempfile.TemporaryDirectory() as out:
            return _respeak(manifest, request, Path(out), report)


def _respeak(manifest: Manifest, request: TtsRequest, out: Path, report: Report) -> Repetition:
    """Carry the whole evaluation out again."""
    try:
        evaluate(request, out, progress=report)
    except ScoringError as error:
        if error.code != FailureCode.TOO_MANY_FAILED_PROMPTS:
            raise
        failed = Difference("status", manifest.result.status, f"FAILED: {error.message}", "equal")
        return Repetition([failed], exact=False)
    again = read_manifest(out / MANIFEST_NAME)
    exact = same_circumstances(manifest, again.machine, again.protocol)
    found = protocol_differences(manifest.protocol.model_dump(mode="json"), again.protocol)
    if manifest.base_digest != again.base_digest:
        found.append(
            Difference("base_digest", str(manifest.base_digest), str(again.base_digest), "equal")
        )
    rules = EXACT if exact else respoken_rules(manifest.result)
    return Repetition([*found, *differences(manifest.result, again.result, rules)], exact)


def _rescore(
    manifest: Manifest, request: TtsRequest, args: argparse.Namespace, report: Report
) -> Repetition:
    """Score the published clips again."""
    if not args.audio.is_dir():
        raise BadInputError(f"{args.audio} is not a directory of clips")
    judge = Judge.load(request)
    published = manifest.result
    samples: list[Sample] = []
    places = range(len(published.samples))
    report(0, len(places))
    clips = (_clip(n, published.samples[n], args.audio, judge, request.seed) for n in places)
    # In the blocks of the evaluation: on a GPU a transcript may depend on the size of its block.
    for block in in_blocks(clips, heard_at_a_time(request.device), len(places)):
        for clip, heard in zip(block, listen(perturbed(block), judge), strict=True):
            samples.append(_rescored(published.samples[clip.position], heard))
            report(len(samples), len(places))
    result = published.model_copy(
        update={
            "synthesiser": _synthesiser(published, args.model_dir),
            "asr": judge.recogniser.info,
            "second_asr": None if judge.second is None else judge.second.info,
            "human_floor": judge.floor,
            "samples": tuple(samples),
            "aggregate": summarise(request, samples, floor=judge.floor),
        }
    )
    protocol = current_protocol(request, result)
    exact = same_circumstances(manifest, this_machine(request.device), protocol)
    again = result.model_copy(update={"protocol_digest": protocol.digest})
    found = protocol_differences(manifest.protocol.model_dump(mode="json"), protocol)
    found += differences(published, again, EXACT if exact else RESCORED)
    return Repetition(found, exact)


def _clip(position: int, sample: Sample, clips: Path, judge: Judge, seed: int) -> Clip:
    """The published clip measured again; without one there is nothing to hear, as then."""
    # A name only, so that a manifest cannot point out of the directory.
    path = clips / Path(sample.audio or "").name
    outcome: Measured | str = "there is no clip"
    if sample.audio is not None:
        try:
            outcome = measured(path, judge.likeness)
        except UnscorableAudioError as error:
            outcome = str(error)
    seed_of_prompt = prompt_seed(seed, sample.prompt)
    return Clip(position, sample.prompt, seed_of_prompt, path, sample.truncated, outcome)


def _rescored(sample: Sample, again: Sample) -> Sample:
    if sample.audio is None:
        return sample
    if again.audio is None:
        return again
    return again.model_copy(update={"audio": sample.audio})


def _synthesiser(published: TtsResult, model_dir: Path | None) -> object:
    """What spoke, with the weights digest of ``model_dir`` where one is given."""
    if model_dir is None or published.synthesiser is None:
        return published.synthesiser
    try:
        digest = weights_digest(model_dir)
    except (SafetensorsError, OSError) as error:
        raise BadInputError(f"the weights in {model_dir} cannot be read: {error}") from error
    return published.synthesiser.model_copy(update={"weights_digest": digest})


def _request(published: TtsRequest, args: argparse.Namespace) -> TtsRequest:
    """The published request with the places and the device of this machine."""
    changes: dict[str, object] = {"device": args.device or published.device}
    model = published.synthesiser
    if isinstance(model, ParlerModel):
        places = {"model_dir": args.model_dir, "base_dir": args.base_dir}
        given = {name: place for name, place in places.items() if place is not None}
        changes["synthesiser"] = model.model_copy(update=given)
    if args.recordings is not None:
        changes["recordings"] = args.recordings
    if args.asr is not None:
        changes["asr"] = published.asr.model_copy(update={"model": args.asr})
    if args.second_asr is not None:
        if published.second_asr is None:
            raise BadInputError("--second_asr: the published evaluation had no second recogniser")
        changes["second_asr"] = published.second_asr.model_copy(update={"model": args.second_asr})
    return published.model_copy(update=changes)


def _conclude(found: Sequence[Difference], *, exact: bool) -> int:
    console = Console()
    how = "to the last bit" if exact else "within the tolerances for another machine"
    if not found:
        console.print(Text(f"the two agree {how}", style="bold green"), soft_wrap=True)
        return 0
    table = Table(title=f"{len(found)} differences (compared {how})", show_lines=True)
    for heading in ("where", "published", "found", "allowed"):
        table.add_column(heading, overflow="fold")
    # What a figure is made of comes after the figures.
    ordered = sorted(found, key=lambda difference: ".components." in difference.where)
    for row in ordered[:MOST_ROWS]:
        table.add_row(*map(Text, (row.where, row.published, row.found, row.allowed)))
    console.print(table)
    if len(found) > MOST_ROWS:
        console.print(Text(f"and {len(found) - MOST_ROWS} more"), soft_wrap=True)
    return 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="a manifest.json")
    parser.add_argument("--model_dir", type=Path, help="where the checkpoint lies here")
    parser.add_argument("--base_dir", type=Path, help="where the base model lies here")
    parser.add_argument("--recordings", type=Path, help="where the human recordings lie here")
    parser.add_argument("--audio", type=Path, metavar="DIR", help="the published clips")
    parser.add_argument("--asr", help="where the recogniser lies here, if it was a directory")
    parser.add_argument("--second_asr", help="where the second recogniser lies here")
    parser.add_argument("--device", type=_device, help="cpu, cuda or cuda:N (default: as then)")
    return parser.parse_args(argv)


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is none of cpu, cuda and cuda:N")
    return text


if __name__ == "__main__":
    sys.exit(main())
