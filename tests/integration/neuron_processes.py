"""The programs on chain as processes, for tests: started as people start them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).parents[2]
SECONDS = 120
# Nothing of the shell that runs the tests reaches the program.
_KEPT = ("PATH", "LANG", "TMPDIR", "BITTENSOR_RUNTIME_CACHE_DIR", "BTCLI_TOKEN_SYMBOLS_CACHE")


def neuron_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program whose person has ``home``."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "VAR_DIR": str(home / "var"),
        "PYTHONUNBUFFERED": "1",
        # The rehearsal hub does not speak Xet.
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **more,
    }


def run_neuron(
    program: str, home: Path, *flags: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``neurons/PROGRAM.py`` to its end, without a terminal."""
    return subprocess.run(
        [sys.executable, f"neurons/{program}.py", *flags],
        cwd=REPOSITORY_ROOT,
        env=neuron_environment(home, environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def start_neuron(
    program: str, home: Path, *flags: str, environment: Mapping[str, str], log_file: Path
) -> subprocess.Popen[bytes]:
    """``neurons/PROGRAM.py`` as a process, started and not waited for; it logs to ``log_file``."""
    with log_file.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, f"neurons/{program}.py", *flags],
            cwd=REPOSITORY_ROOT,
            env=neuron_environment(home, environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
