"""What a validator tells the validation API about itself. Telling fails without consequences."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import bittensor as bt

from neurons.service_api import ServiceApi, ServiceError
from utilities.chain import Metagraph
from utilities.chain_auth import sign_request
from utilities.errors import SubnetError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reporter:
    """Sends reports in the name of ``wallet``'s hotkey, signed for the hotkey of the service.

    ``receiver`` says which that is; a service without one gets its reports unsigned.
    """

    api: ServiceApi
    wallet: bt.Wallet
    version: str
    commit: str | None
    receiver: Callable[[], str | None]

    def telemetry(self, metagraph: Metagraph, payload: dict[str, Any]) -> None:
        """Report how a pass went."""
        self._send("/telemetry_report", payload, metagraph)

    def failure(self, error: SubnetError, **more: object) -> None:
        """Report what went wrong."""
        told = {"event": error.code, "message": error.message, "remedy": error.remedy, **more}
        self._send("/event_report", {"payload": {**told, "version": self.version}})

    def _send(self, path: str, content: dict[str, Any], metagraph: Metagraph | None = None) -> None:
        body = json.dumps(content, allow_nan=False).encode()
        headers = self._identity(metagraph)
        try:
            receiver = self.receiver()
            if receiver is not None:
                headers |= sign_request(
                    self.wallet, method="POST", target=path, body=body, receiver=receiver
                )
            self.api.post(path, body, headers)
        except ServiceError as error:
            log.warning("not reported: %s", error.message)

    def _identity(self, metagraph: Metagraph | None) -> dict[str, str]:
        hotkey = str(self.wallet.hotkey.ss58_address)
        headers = {"Bittensor-Version": bt.__version__, "Hotkey": hotkey}
        if self.commit is not None:
            headers["Git-Commit"] = self.commit
        neuron = metagraph and metagraph.neuron_of(hotkey)
        if neuron:
            headers |= {"UID": str(neuron.uid), "Coldkey": neuron.coldkey}
        return headers


def program_version() -> str:
    """The version of this project as it is installed."""
    try:
        return version("speech-subnet")
    except PackageNotFoundError:
        return "unknown"


def git_commit() -> str | None:
    """The commit of this checkout, where it is one and git is there."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
