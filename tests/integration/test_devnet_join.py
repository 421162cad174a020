"""Joining a rehearsal chain with one command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from devnet_helpers import NETUID, REPOSITORY_ROOT, running_devnet
from neuron_processes import neuron_environment

from utilities.chain import Chain


def join(home: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/devnet_join.py", "--wallet.path", str(home / "wallets"), *flags],
        cwd=REPOSITORY_ROOT,
        env=neuron_environment(home, {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wallet_is_made_and_registered_once(tmp_path: Path) -> None:
    with running_devnet(tmp_path / "chain") as devnet:
        flags = ("--subtensor.chain_endpoint", devnet.url, "--wallet.name", "v", "--stake", "5")
        done = join(tmp_path, *flags)
        assert done.returncode == 0, done.stderr
        with Chain(devnet.url) as chain:
            [neuron] = chain.metagraph(NETUID).neurons
        assert neuron.hotkey in done.stdout
        assert neuron.stake == 5.0
        again = join(tmp_path, *flags)
        assert again.returncode == 1
        assert "error: " in again.stderr
        assert "Traceback" not in again.stderr


@pytest.mark.parametrize("endpoint", ["ws://127.0.0.1:1", "nowhere"])
def test_without_a_chain_it_says_how_to_start_one(tmp_path: Path, endpoint: str) -> None:
    failed = join(tmp_path, "--subtensor.chain_endpoint", endpoint)
    assert failed.returncode == 2
    assert "scripts/devnet.py" in failed.stderr
