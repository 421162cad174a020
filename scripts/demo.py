"""The whole service on this machine: publish, submit, evaluate, rank, listen.

Starts a rehearsal hub, the API with an embedded Postgres and one worker; makes three miniature
checkpoints with random weights and submits them as three miners would; writes
``var/demo/leaderboard.json`` and ``var/demo/audio/<name>/*.wav``. Whatever it started it stops,
also on Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from demo_services import DemoError, Service, Stack, free_port, running, wait_until
from make_miniature import make_miniature
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from scoring.contract import Aggregate, Interval
from utilities.hub import Hub
from utilities.model_reference import TTS, submission_hash
from utilities.tables import Row, ranking_table

ROOT = Path(__file__).resolve().parent.parent
DEMO = Path("var/demo")
STATE = DEMO / "state"
DEADLINE_SECONDS = 900.0
CONFIG_TEMPLATE = "default"
VOICES = ("hibari", "hibari-noise", "hibari-wrong-text")


@dataclass(frozen=True)
class Miner:
    """Someone with a hotkey and a repository."""

    name: str
    hotkey: str
    repo_name: str
    block: int
    seed: int

    @property
    def repo_id(self) -> str:
        """The repository as the hub names it."""
        return f"{self.name}/{self.repo_name}"


# The well-known development keys of Substrate.
MINERS = (
    Miner("alice", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "mini-parler-a", 100, 1),
    Miner("bob", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "mini-parler-b", 101, 2),
    Miner("charlie", "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y", "mini-parler-c", 102, 3),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--num_prompts", type=int, default=6, help="prompts per submission")
    args = parser.parse_args(argv)
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(args.num_prompts, console)
    except DemoError as error:
        console.print(Text(f"error: {error}", style="bold red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is stopped", soft_wrap=True)
        return 130
    return 0


def _run(num_prompts: int, console: Console) -> None:
    shutil.rmtree(DEMO, ignore_errors=True)
    hub_port, api_port = free_port(), free_port()
    hub_url, api_url = f"http://127.0.0.1:{hub_port}", f"http://127.0.0.1:{api_port}"
    admin_key = secrets.token_urlsafe(24)
    state = STATE.resolve()
    # Whatever this machine's owner has set up for real is none of the demo's business.
    environment = {
        "HF_ENDPOINT": hub_url,
        "HF_HOME": str(state / "hf-home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "",
        "VAR_DIR": str(state),
        "POSTGRES_URL": "",
        "ADMIN_KEY": admin_key,
        "WORKER_LAUNCHER": "process",
        "WORKER_PROMPT_COUNT": str(num_prompts),
        "WORKER_PROMPT_SEED": "demo",
    }
    hub = Service(
        "hub",
        (f"{ROOT}/scripts/devhub.py", "--port", str(hub_port), "--root", str(state / "hub")),
        f"{hub_url}/api/models",
    )
    api = Service(
        "api",
        (f"{ROOT}/voice_validation_api/validation_api.py", "--main-api-port", str(api_port)),
        f"{api_url}/hc",
    )
    worker = Service("worker", (f"{ROOT}/voice_validation_api/worker_queue.py",), None)
    console.print("starting the rehearsal hub, Postgres, the API and a worker", soft_wrap=True)
    with (
        running([hub, api, worker], environment, DEMO / "logs") as stack,
        httpx2.Client(base_url=api_url, timeout=30.0) as client,
    ):
        for miner in MINERS:
            revision = _publish(miner, environment)
            _submit(miner, revision, client, admin_key)
            console.print(
                f"{miner.name} published {miner.repo_id} and submitted {revision[:12]}",
                soft_wrap=True,
            )
        _follow(client, stack, console)
        board = _answer(client.get("/leaderboard"))
    _keep(board)
    _report(board, console)


def _publish(miner: Miner, environment: Mapping[str, str]) -> str:
    """Make a miniature, upload it as its miner would, return the commit that it became."""
    directory = STATE / "miniatures" / miner.repo_name
    make_miniature(directory, seed=miner.seed)
    upload = subprocess.run(
        [Path(sys.executable).with_name("hf"), "upload", miner.repo_id, directory],
        env={**os.environ, **environment, "HF_TOKEN": f"hf_{miner.name}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if upload.returncode != 0:
        raise DemoError(f"the upload of {miner.repo_id} failed: {upload.stderr}")
    hub = Hub(endpoint=environment["HF_ENDPOINT"], token=f"hf_{miner.name}")
    return hub.resolve_revision(miner.name, miner.repo_name).revision


def _submit(miner: Miner, revision: str, client: httpx2.Client, admin_key: str) -> None:
    """Hand a submission to the API as the model queue would."""
    fields = {
        "repo_namespace": miner.name,
        "repo_name": miner.repo_name,
        "config_template": CONFIG_TEMPLATE,
        "competition_id": TTS,
        "hotkey": miner.hotkey,
        "hash": submission_hash(miner.name, miner.repo_name, CONFIG_TEMPLATE, miner.hotkey),
        "revision": revision,
        "block": miner.block,
    }
    _answer(client.post("/get_or_create_model", json=fields, headers={"admin-key": admin_key}))


def _answer(response: httpx2.Response) -> Any:
    if response.is_error:
        raise DemoError(f"{response.request.url} answered {response.status_code}: {response.text}")
    return response.json()


def _follow(client: httpx2.Client, stack: Stack, console: Console) -> None:
    """Show the work until every submission and reference voice is scored, or failed."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    with bar:
        submissions = bar.add_task("submissions evaluated", total=len(MINERS))
        voices = bar.add_task("reference voices evaluated", total=len(VOICES))

        def finished() -> bool:
            stack.check()
            queue = _answer(client.get("/queue"))
            ended = queue["completed"] + queue["failed"] + queue["parked"]
            scored = len(_answer(client.get("/leaderboard"))["calibration"])
            bar.update(submissions, completed=ended)
            bar.update(voices, completed=scored)
            return bool(ended == len(MINERS) and scored == len(VOICES))

        wait_until(finished, DEADLINE_SECONDS, "the evaluation")


def _keep(board: dict[str, Any]) -> None:
    """Leave the leaderboard and the audio where people look for them."""
    (DEMO / "leaderboard.json").write_text(json.dumps(board, indent=2) + "\n", "utf-8")
    for row in board["rows"]:
        _copy_audio(STATE / "audio" / str(row["id"]), row["repo"].split("/")[1])
    for row in board["calibration"]:
        _copy_audio(STATE / "audio" / "calibration" / row["name"], row["name"])


def _copy_audio(source: Path, name: str) -> None:
    target = DEMO / "audio" / name
    target.mkdir(parents=True)
    for wav in sorted(source.rglob("*.wav")):
        shutil.copy2(wav, target / wav.name)


def _report(board: dict[str, Any], console: Console) -> None:
    rows = [
        Row(f"{r['repo']} ({r['hotkey'][:6]}…)", r["status"], _figures(r)) for r in board["rows"]
    ]
    anchors = [Row(r["name"], r["status"], _figures(r)) for r in board["calibration"]]
    console.print(ranking_table("Leaderboard", rows))
    console.print(ranking_table("Calibration: reference voices on the same prompts", anchors))
    console.print(
        "The three miniatures have random weights: they babble, and score near zero. "
        "Entries whose intervals overlap tie."
    )
    console.print(
        f"figures: {DEMO / 'leaderboard.json'}    audio: {DEMO / 'audio'}/<name>/*.wav",
        soft_wrap=True,
    )


def _figures(row: dict[str, Any]) -> Aggregate:
    return Aggregate(
        score=row["score"],
        interval=Interval(**row["interval"]),
        wer=row["wer"],
        human_likeness=row["human_likeness"],
        scored=0,
        unscored=0,
    )


if __name__ == "__main__":
    sys.exit(main())
