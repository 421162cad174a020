"""A rehearsal chain as a process, and wallets for it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

# The SDK keeps metadata and symbols of every chain it has seen; those of tests go with the tests.
_CACHE = tempfile.TemporaryDirectory(prefix="bittensor-")
os.environ["BITTENSOR_RUNTIME_CACHE_DIR"] = f"{_CACHE.name}/runtime"
os.environ["BTCLI_TOKEN_SYMBOLS_CACHE"] = f"{_CACHE.name}/symbols.json"

import bittensor as bt  # noqa: E402  # reads the environment

REPOSITORY_ROOT = Path(__file__).parents[2]
NETUID = 231
STOP_SECONDS = 20


class RefusedError(Exception):
    """The devnet refuses a request."""


@dataclass
class RunningDevnet:
    """A chain that answers at ``url`` until its process is stopped."""

    url: str
    root: Path
    process: subprocess.Popen[str]

    def request(self, method: str, params: Any) -> Any:
        """One JSON-RPC request; its result. Raises RefusedError."""
        with connect(self.url) as connection:
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            connection.send(json.dumps(request))
            answer = json.loads(connection.recv(timeout=60))
        if "error" in answer:
            raise RefusedError(f"{answer['error']['message']} {answer['error']['data'] or ''}")
        return answer["result"]

    def control(self, name: str, **params: object) -> int:
        """Call ``dev_NAME``."""
        return int(self.request(f"dev_{name}", params))

    def rule(self, rule: str, value: int) -> None:
        """Change a rule of the subnet."""
        self.control("rule", netuid=NETUID, rule=rule, value=value)

    def client(self) -> bt.Subtensor:
        """The real SDK, blocking."""
        return bt.Subtensor(self.url)

    def member(self, directory: Path, name: str, stake: float = 0.0) -> bt.Wallet:
        """A wallet whose hotkey is registered."""
        wallet = new_wallet(directory, name)
        self.control(
            "register",
            netuid=NETUID,
            hotkey=wallet.hotkey.ss58_address,
            coldkey=wallet.coldkeypub.ss58_address,
            stake=stake,
        )
        return wallet

    def run_sealing(self, code: str, *arguments: str) -> str:
        """Run Python whose SDK seals for this chain's beacon; what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": str(self.root / "sdk"), "HOME": str(self.root)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self) -> int:
        """Interrupt it as Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)


def new_wallet(directory: Path, name: str) -> bt.Wallet:
    """A wallet with fresh keys, without passwords."""
    wallet = bt.Wallet(name=name, hotkey="default", path=str(directory))
    wallet.create_new_coldkey(use_password=False, overwrite=True, suppress=True)
    wallet.create_new_hotkey(use_password=False, overwrite=True, suppress=True)
    return wallet


def commit(client: bt.Subtensor, wallet: bt.Wallet, *fields: object) -> Any:
    """Publish commitment fields; the SDK's result."""
    call = bt.calls.Commitments.set_commitment(netuid=NETUID, info={"fields": list(fields)})
    return client.submit_call(call, wallet, signer="hotkey")


@contextmanager
def running_devnet(root: Path, *arguments: str) -> Iterator[RunningDevnet]:
    """Start ``scripts/devnet.py`` over ``root``; without arguments its clock stands still."""
    process = start_devnet(root, *(arguments or ("--manual",)))
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"ws://[\d.:]+\d", line)
        assert match, f"the devnet did not start: {line!r}"
        yield RunningDevnet(match.group(), root, process)
    finally:
        process.kill()
        process.wait()


def start_devnet(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """The devnet's process, started and not waited for."""
    return subprocess.Popen(
        [sys.executable, "scripts/devnet.py", "--port", "0", "--root", str(root), *arguments],
        cwd=REPOSITORY_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
