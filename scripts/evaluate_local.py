"""Score a checkpoint as the service would, before you submit it.

Exit codes: 0 scored; 2 the checkpoint, the repository or the arguments are at fault; 3 this
machine or the hub is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from scoring.contract import (
    MAX_PROMPTS,
    AsrSpec,
    CtcSpec,
    LearnedMosSpec,
    ListedPrompts,
    ParlerModel,
    SeededPrompts,
    TtsRequest,
    TtsResult,
)
from scoring.entrypoint import EXIT_CODES, write_result
from scoring.errors import ScoringError
from scoring.tts.pipeline import evaluate
from scoring.tts.prompts import load_prompts
from utilities.errors import SubnetError
from utilities.hub import open_hub
from utilities.model_download import download_model
from utilities.settings import HubSettings
from utilities.tables import sample_table, total

VAR = Path("var")

EXAMPLES = """\
examples:
  python scripts/evaluate_local.py --model_dir ./my-finetune
  python scripts/evaluate_local.py --repo_namespace alice --repo_name my-finetune \\
      --revision 3f2a... --num_prompts 50 --seed my-seed --device cuda --asr large-v3-turbo

HF_ENDPOINT and HF_TOKEN are honoured. Exit codes: 0 scored; 2 the checkpoint, the repository or
the arguments are at fault; 3 this machine or the hub is.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate what the arguments name and return the exit code."""
    args = _parse(argv)
    console = Console()
    errors = Console(stderr=True)
    try:
        model_dir = args.model_dir or _download(args, errors)
        out = args.out or VAR / "evaluate" / (args.repo_name or model_dir.name)
        result = _evaluate(_request(args, model_dir), out, errors)
    except ScoringError as error:
        errors.print(Text(f"error: {error.message}", style="bold red"), soft_wrap=True)
        errors.print(Text(error.remedy), soft_wrap=True)
        return EXIT_CODES[error.code.fault]
    except SubnetError as error:
        errors.print(Text(f"error: {error.message}", style="bold red"), soft_wrap=True)
        errors.print(Text(error.remedy), soft_wrap=True)
        return 3 if error.transient else 2
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"])
            errors.print(
                Text(f"error: {where}: {problem['msg']}", style="bold red"), soft_wrap=True
            )
        return 2
    except KeyboardInterrupt:
        errors.print("interrupted", soft_wrap=True)
        return 130
    write_result(result, out)
    console.print(sample_table(result))
    console.print(total(result))
    console.print(Text(f"audio, result.json and manifest.json are in {out}"), soft_wrap=True)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Speak prompts with a Parler-TTS checkpoint, transcribe and score them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model_dir", type=Path, help="a checkpoint directory on this machine")
    parser.add_argument("--repo_namespace", help="the repository's owner on the hub")
    parser.add_argument("--repo_name", help="the repository's name on the hub")
    parser.add_argument("--revision", help="commit to fetch (default: the newest, then pinned)")
    parser.add_argument(
        "--num_prompts", type=_count, default=8, help="how many prompts (default 8)"
    )
    parser.add_argument("--seed", default="local", help='names the prompts (default "local")')
    parser.add_argument("--prompts", type=Path, help="your own prompts, a .jsonl file")
    parser.add_argument(
        "--base_dir",
        type=Path,
        help="the base model's directory: use its tokenizers, codec and settings, as a round does",
    )
    parser.add_argument("--asr", default="packaged", help="packaged, a Whisper size or a directory")
    parser.add_argument("--asr_engine", default="faster-whisper", help="or openai-whisper")
    parser.add_argument("--second_asr", help="a directory with a CTC recogniser that joins")
    parser.add_argument("--learned_mos", help="a directory with an opinion predictor that joins")
    parser.add_argument(
        "--recordings",
        type=Path,
        help="a directory with manifest.jsonl: how likely the checkpoint finds people's speech",
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument("--out", type=Path, help="where to write (default var/evaluate/<name>)")
    args = parser.parse_args(argv)
    repository = (args.repo_namespace, args.repo_name)
    if args.model_dir is None and None in repository:
        parser.error("name either --model_dir or both --repo_namespace and --repo_name")
    if args.model_dir is not None and repository != (None, None):
        parser.error("--model_dir and a repository exclude each other")
    return args


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PROMPTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_PROMPTS}")
    return int(text)


def _request(args: argparse.Namespace, model_dir: Path) -> TtsRequest:
    prompts: ListedPrompts | SeededPrompts
    if args.prompts is not None:
        prompts = ListedPrompts(prompts=load_prompts(args.prompts))
    else:
        prompts = SeededPrompts(seed=args.seed, count=args.num_prompts)
    return TtsRequest(
        synthesiser=ParlerModel(
            model_dir=model_dir,
            base_dir=args.base_dir,
            # What was downloaded lies in a directory named by its commit.
            revision=None if args.model_dir else model_dir.name,
        ),
        prompts=prompts,
        asr=AsrSpec(engine=args.asr_engine, model=args.asr),
        second_asr=None if args.second_asr is None else CtcSpec(model=args.second_asr),
        learned_mos=None if args.learned_mos is None else LearnedMosSpec(model=args.learned_mos),
        recordings=args.recordings,
        device=args.device,
    )


def _evaluate(request: TtsRequest, out: Path, errors: Console) -> TtsResult:
    bar = Progress(
        TextColumn("speaking and scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
    )
    with bar:
        task = bar.add_task("", total=None)
        return evaluate(
            request, out, progress=lambda done, all_: bar.update(task, completed=done, total=all_)
        )


def _download(args: argparse.Namespace, errors: Console) -> Path:
    """Fetch the repository at a pinned revision; what is there already is kept."""
    hub = open_hub(HubSettings())
    snapshot = hub.resolve_revision(args.repo_namespace, args.repo_name, args.revision)
    return download_model(hub, snapshot, VAR, errors)


if __name__ == "__main__":
    sys.exit(main())
