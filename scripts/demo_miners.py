"""The miners of the demo: each makes a miniature and submits it by the documented command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo_programs import ROOT
from demo_services import Stack
from make_miniature import make_miniature


@dataclass(frozen=True)
class Miner:
    """Someone with a wallet, an account at the hub, and a repository there; all of one name."""

    name: str
    repo_name: str
    seed: int

    @property
    def repo_id(self) -> str:
        """The repository as the hub names it."""
        return f"{self.name}/{self.repo_name}"


MINERS = (
    Miner("alice", "mini-parler-a", 1),
    Miner("bob", "mini-parler-b", 2),
    Miner("charlie", "mini-parler-c", 3),
)


def submit(miner: Miner, stack: Stack, models: Path) -> None:
    """Make a miniature, upload it and commit it on chain. Raises DemoError."""
    directory = models / miner.repo_name
    make_miniature(directory, seed=miner.seed)
    command = {
        "--repo_namespace": miner.name,
        "--repo_name": miner.repo_name,
        "--config_template": "default",
        "--model_dir": str(directory),
        "--wallet.name": miner.name,
        "--online": "True",
    }
    flags = [word for pair in command.items() for word in pair]
    stack.run(
        f"miner-{miner.name}", f"{ROOT}/neurons/miner.py", *flags, HF_TOKEN=f"hf_{miner.name}"
    )
