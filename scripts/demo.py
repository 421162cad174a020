"""The whole subnet on this machine: publish, commit, evaluate, close a round, set weights, listen.

Starts a rehearsal chain and hub, the API with an embedded Postgres, a model queue, a round keeper,
a worker and a validator; three miners upload and commit miniature checkpoints with random weights.
Writes ``var/demo/leaderboard.json``, ``var/demo/audio/<name>/*.wav`` and what every program logged,
``var/demo/logs/*.log``. Whatever it started it stops, also on Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
from demo_chain import DemoChain, make_hotkey
from demo_miners import MINERS, submit
from demo_programs import NETUID, Programs
from demo_report import keep, report, with_chain_weights
from demo_services import DemoError, Stack, running
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from scoring.competition import Rules
from scoring.competition.rounds import RoundTimes, first_round
from utilities.errors import SubnetError

DEMO = Path("var/demo")
STATE = DEMO / "state"
SERVICE, VALIDATOR = "service", "validator"
STEP_SECONDS = 90.0
EVALUATION_SECONDS = 900.0
VALIDATOR_STAKE = 1_000.0
FILE_COLUMNS = 100
VOICES = ("hibari", "hibari-noise", "hibari-wrong-text")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--num_prompts", type=int, default=6, help="prompts per submission")
    parser.add_argument(
        "--serve", action="store_true", help="leave everything running, with its page, until Ctrl-C"
    )
    args = parser.parse_args(argv)
    # A file has no width of its own.
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if has_width else FILE_COLUMNS)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(args.num_prompts, console, serve=args.serve)
    except (DemoError, SubnetError, httpx2.TransportError) as error:
        told = Text(f"error: {error}\nlogs: {DEMO / 'logs'}/*.log", style="bold red")
        console.print(told, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is stopped", soft_wrap=True)
        return 130
    return 0


def _run(num_prompts: int, console: Console, *, serve: bool) -> None:
    shutil.rmtree(DEMO, ignore_errors=True)
    state = STATE.resolve()
    # The SDK remembers every chain that it has met; this one is gone in minutes.
    os.environ["BITTENSOR_RUNTIME_CACHE_DIR"] = str(state / "bittensor")
    os.environ["BTCLI_TOKEN_SYMBOLS_CACHE"] = str(state / "bittensor" / "symbols.json")
    service = make_hotkey(state / "wallets", SERVICE)
    programs = Programs(state, service, num_prompts)
    chain = DemoChain(programs.chain_url, NETUID, programs.wallets)
    with (
        running(programs.environment, DEMO / "logs") as stack,
        httpx2.Client(base_url=programs.api_url, timeout=30.0) as client,
    ):
        _say(console, "starting the rehearsal chain, the hub, Postgres and the API")
        for program in (programs.devnet(), programs.hub(), programs.api()):
            stack.start(program)
        stack.wait_for_line("devnet", "rehearsal chain at")
        validator = chain.join(VALIDATOR, stake=VALIDATOR_STAKE)
        stack.start(programs.model_queue())
        for miner in MINERS:
            hotkey = chain.join(miner.name)
            submit(miner, stack, state / "miniatures")
            _say(console, f"{miner.name} published {miner.repo_id} and committed it as {hotkey}")
        stack.wait_until(lambda: _all_admitted(client), STEP_SECONDS, "the model queue's work")
        _say(console, "the model queue handed all of them to the API")
        stack.start(programs.keeper(SERVICE))
        times = _open_round(chain, stack, client, console)
        stack.start(programs.worker())
        _follow_submissions(client, stack, console, times)
        _say(console, f"round {times.number} is closed, published, and signed by {service}")
        stack.start(programs.validator(VALIDATOR))
        _follow_voices(client, stack, console)
        stack.wait_until(
            lambda: bool(chain.weights_of(validator)), STEP_SECONDS, "the validator's weights"
        )
        _say(console, f"the validator {validator} has set weights on the chain")
        board = with_chain_weights(_answer(client.get("/leaderboard")), chain.weights_of(validator))
        keep(board, audio=STATE / "audio", demo=DEMO)
        report(board, console, DEMO)
        if serve:
            _serve(programs.api_url, stack, console)
    _say(console, "make demo-serve does the same and leaves the leaderboard open in your browser")


def _serve(url: str, stack: Stack, console: Console) -> None:
    """Keep everything running until the demo is interrupted. Raises DemoError should a part end."""
    _say(console, f"look and listen: {url}/    Ctrl-C stops everything")
    while True:
        stack.check()
        time.sleep(1.0)


def _all_admitted(client: httpx2.Client) -> bool:
    entries = _answer(client.get("/recent_entries"))
    _check_all_well(entries)
    return len(entries) == len(MINERS)


def _check_all_well(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        repo = f"{entry['repo_namespace']}/{entry['repo_name']}"
        if entry["status"] in {"FAILED", "NO_METADATA"} or entry["priority"] == "PARKED":
            raise DemoError(f"{repo} could not be evaluated: {entry['notes']}")


def _open_round(
    chain: DemoChain, stack: Stack, client: httpx2.Client, console: Console
) -> RoundTimes:
    """Go on to the first round that the submissions take part in, and to its seed."""
    # What is pinned after a round's start takes part in the next one only.
    stack.wait_for_line("round_keeper", "pinned")
    times = first_round(chain.height(), Rules())
    with console.status("") as status:

        def show(height: int) -> None:
            status.update(f"a day passes: block {height:,} of {times.start_block:,}")

        chain.advance_to(times.start_block, show)
        stack.wait_until(
            lambda: _state_of(client, times) == "OPEN", STEP_SECONDS, f"round {times.number}"
        )
        _say(console, f"round {times.number} opened at block {times.start_block:,}")
        chain.advance_to(times.seed_block, show)
        stack.wait_until(lambda: _state_of(client, times) == "SCORING", STEP_SECONDS, "its seed")
    _say(console, f"the hash of block {times.seed_block:,} chose its prompts")
    return times


def _state_of(client: httpx2.Client, times: RoundTimes) -> str | None:
    """The state of a round, None before it was opened."""
    rounds = _answer(client.get("/rounds"))
    return next((r["state"] for r in rounds if r["number"] == times.number), None)


def _follow_submissions(
    client: httpx2.Client, stack: Stack, console: Console, times: RoundTimes
) -> None:
    """Show the work until the round is closed."""

    def completed() -> int:
        entries = _answer(client.get("/recent_entries"))
        _check_all_well(entries)
        return sum(entry["status"] == "COMPLETED" for entry in entries)

    _show_progress(stack, console, "submissions evaluated", len(MINERS), completed)
    stack.wait_until(
        lambda: _state_of(client, times) == "CLOSED",
        STEP_SECONDS,
        f"the end of round {times.number}",
    )


def _follow_voices(client: httpx2.Client, stack: Stack, console: Console) -> None:
    """Show the work until the reference voices are scored on the same prompts."""

    def scored() -> int:
        return len(_answer(client.get("/leaderboard"))["calibration"])

    _show_progress(stack, console, "reference voices evaluated", len(VOICES), scored)


def _show_progress(
    stack: Stack, console: Console, what: str, total: int, count: Callable[[], int]
) -> None:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task(what, total=total)

        def finished() -> bool:
            done = count()
            bar.update(task, completed=done)
            return done == total

        stack.wait_until(finished, EVALUATION_SECONDS, f"the evaluation ({what})")


def _answer(response: httpx2.Response) -> Any:
    if response.is_error:
        raise DemoError(f"{response.request.url} answered {response.status_code}: {response.text}")
    return response.json()


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
