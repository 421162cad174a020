"""The programs of the demo's subnet: where each listens, and the settings that all of them get."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from demo_services import Service, free_port

ROOT = Path(__file__).resolve().parent.parent
NETUID = 231
POLL_SECONDS = "0.5"
# What a program needs of the shell that the demo is started from. Whatever this machine's owner has
# set up for real is none of the demo's business.
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "OMP_NUM_THREADS", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Programs:
    """A subnet on free ports of this machine, with all that it writes below ``state``."""

    state: Path
    service_hotkey: str
    num_prompts: int
    devnet_port: int = field(default_factory=free_port)
    hub_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    admin_key: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def chain_url(self) -> str:
        """Where the rehearsal chain answers."""
        return f"ws://127.0.0.1:{self.devnet_port}"

    @property
    def hub_url(self) -> str:
        """Where the rehearsal hub answers."""
        return f"http://127.0.0.1:{self.hub_port}"

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def wallets(self) -> Path:
        """The directory with everybody's keys."""
        return self.state / "wallets"

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of every program."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {
            **kept,
            "HOME": str(self.state),
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "200",
            "VAR_DIR": str(self.state),
            "ADMIN_KEY": self.admin_key,
            "API_HOTKEY": self.service_hotkey,
            "HF_ENDPOINT": self.hub_url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "VALIDATION_API_URL": self.api_url,
            "NEURON_NETUID": str(NETUID),
            "NEURON_SUBTENSOR_CHAIN_ENDPOINT": self.chain_url,
            "NEURON_WALLET_PATH": str(self.wallets),
            "NEURON_POLL_SECONDS": POLL_SECONDS,
            "KEEPER_NETUID": str(NETUID),
            "KEEPER_ENDPOINT": self.chain_url,
            "KEEPER_WALLET_PATH": str(self.wallets),
            "KEEPER_POLL_SECONDS": POLL_SECONDS,
            "WORKER_LAUNCHER": "process",
            "WORKER_PROMPT_COUNT": str(self.num_prompts),
        }

    def devnet(self) -> Service:
        """The chain."""
        port, root = str(self.devnet_port), str(self.state / "devnet")
        argv = (f"{ROOT}/scripts/devnet.py", "--port", port, "--root", root)
        return Service("devnet", argv, None)

    def hub(self) -> Service:
        """The model hub."""
        port, root = str(self.hub_port), str(self.state / "hub")
        argv = (f"{ROOT}/scripts/devhub.py", "--port", port, "--root", root)
        return Service("hub", argv, f"{self.hub_url}/api/models")

    def api(self) -> Service:
        """The API, and the embedded Postgres."""
        port = str(self.api_port)
        argv = (f"{ROOT}/voice_validation_api/validation_api.py", "--main-api-port", port)
        return Service("api", argv, f"{self.api_url}/hc")

    def model_queue(self) -> Service:
        """From the chain to the API."""
        return Service("model_queue", (f"{ROOT}/neurons/model_queue.py",), None)

    def keeper(self, wallet: str) -> Service:
        """Opens, seeds, closes and signs rounds."""
        argv = (f"{ROOT}/voice_validation_api/round_keeper.py", "--wallet.name", wallet)
        return Service("round_keeper", argv, None)

    def worker(self) -> Service:
        """Evaluates."""
        return Service("worker", (f"{ROOT}/voice_validation_api/worker_queue.py",), None)

    def validator(self, wallet: str) -> Service:
        """From published rounds to weights on the chain."""
        argv = (f"{ROOT}/neurons/validator.py", "--wallet.name", wallet)
        return Service("validator", argv, None)
