"""A subnet for tests of the validator: chain, API and database are real, scores are inserted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bittensor as bt
from devnet_helpers import NETUID, RunningDevnet
from neuron_processes import run_neuron, start_neuron
from service_helpers import new_submission, run_sql, wait_until

from utilities.chain import Chain
from utilities.model_reference import format_reference, make_reference, submission_hash
from voice_validation_api.records import Score, SubmissionId
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

REVISION = "ab" * 20
SERVICE_HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Committed:
    """A miner, what it committed, and the block."""

    wallet: bt.Wallet
    repo_name: str
    digest: str
    block: int

    @property
    def hotkey(self) -> str:
        return str(self.wallet.hotkey.ss58_address)


@dataclass(frozen=True)
class Subnet:
    """Everything that a validator meets. ``home`` is that of its person; the wallet lies there."""

    devnet: RunningDevnet
    api_url: str
    dsn: str
    store: Store
    queue: SubmissionQueue
    home: Path
    validator: bt.Wallet

    @property
    def hotkey(self) -> str:
        return str(self.validator.hotkey.ss58_address)

    @property
    def folder(self) -> Path:
        return self.home / "var" / "validator"

    def miner(self, name: str) -> bt.Wallet:
        """A registered miner."""
        return self.devnet.member(self.home / "miners", name)

    def commit(self, wallet: bt.Wallet, repo_name: str) -> Committed:
        """Commit ``lab/REPO_NAME`` at a revision, with the digest of its weights."""
        digest = bytes(repo_name, "ascii").hex().ljust(64, "0")
        reference = make_reference(
            namespace="lab",
            name=repo_name,
            config_template="default",
            hotkey=wallet.hotkey.ss58_address,
            competition_id="tts",
            revision=REVISION,
            weights_digest=digest,
        )
        with Chain(self.devnet.url) as chain:
            receipt = chain.commit(NETUID, format_reference(reference), wallet)
        self.devnet.control("advance", blocks=1)
        return Committed(wallet, repo_name, digest, receipt.block)

    def scored(self, committed: Committed, score: float, **changes: Any) -> SubmissionId:
        """What a worker records of it."""
        hotkey = committed.hotkey
        fields = {
            "hotkey": hotkey,
            "namespace": "lab",
            "name": committed.repo_name,
            "revision": REVISION,
            "submission_hash": submission_hash("lab", committed.repo_name, "default", hotkey),
            "committed_digest": committed.digest,
            **changes,
        }
        row = self.store.submit(new_submission(committed.block, **fields))
        claim = self.queue.claim()
        assert claim is not None
        assert claim.submission_id == row.id
        self.queue.start_running(claim)
        self.queue.complete(
            claim, figures(score), weights_digest=committed.digest, details={}, samples=[], log=""
        )
        return row.id

    def entrant(self, name: str, score: float) -> Committed:
        """A miner whose model is committed and scored."""
        committed = self.commit(self.miner(name), name)
        self.scored(committed, score)
        return committed

    def run(self, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One pass of the validator."""
        needed = self._flags()
        return run_neuron(
            "validator",
            self.home,
            *needed,
            "--immediate",
            *flags,
            environment={**self._environment(), **environment},
        )

    def start(self, *flags: str, **environment: str) -> subprocess.Popen[bytes]:
        """The validator's process, started."""
        return start_neuron(
            "validator",
            self.home,
            *self._flags(),
            *flags,
            environment={**self._environment(), **environment},
            log_file=self.log_file,
        )

    def weights(self) -> dict[str, int]:
        """What the validator has set on the chain, by hotkey."""
        with self.devnet.client() as client:
            graph = client.subnets.metagraph(NETUID)
            uid = graph.by_hotkey(self.hotkey).uid
            pairs = client.query(("SubtensorModule", "Weights"), [NETUID, uid])
            return {graph.neuron(int(uid)).hotkey: int(value) for uid, value in pairs}

    def last_update(self) -> int:
        """The block in which the validator last set weights, or was registered."""
        with Chain(self.devnet.url) as chain:
            neuron = chain.metagraph(NETUID).neuron_of(self.hotkey)
            assert neuron is not None
            return neuron.last_update

    @property
    def log_file(self) -> Path:
        return self.home / "validator.log"

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def wait_for_pass(self, outcome: str, *, after: int = -1) -> int:
        """Wait for a pass with that outcome at a block after ``after``; its block."""
        found: list[int] = []

        def passed() -> bool:
            health = self.health()
            if health.get("outcome") == outcome and health["block"] > after:
                found.append(health["block"])
            return bool(found)

        try:
            wait_until(passed)
        except AssertionError as error:
            raise AssertionError(f"no such pass:\n{self.log}") from error
        return found[0]

    def health(self) -> Mapping[str, Any]:
        """What the validator has written for whoever watches it."""
        path = self.folder / "health.json"
        content: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return content

    def state(self) -> Mapping[str, Any]:
        """What the validator remembers."""
        path = self.folder / f"state-{NETUID}-0-{self.hotkey}.json"
        content: Mapping[str, Any] = json.loads(path.read_text())
        return content

    def reports(self, table: str) -> list[tuple[dict[str, Any], str | None, bool]]:
        """What the API has been told, with hotkey and whether that was proven, oldest first."""
        sql = f"SELECT payload, hotkey, signed FROM {table} ORDER BY id"
        return [(row[0], row[1], row[2]) for row in run_sql(self.dsn, sql)]

    def _flags(self) -> tuple[str, ...]:
        return (
            "--subtensor.chain_endpoint",
            self.devnet.url,
            "--wallet.name",
            self.validator.name,
            "--wallet.path",
            str(self.home),
            "--device",
            "cpu",
        )

    def _environment(self) -> dict[str, str]:
        return {
            "VALIDATION_API_URL": self.api_url,
            "NEURON_POLL_SECONDS": str(POLL_SECONDS),
            # Wide enough for the longest reason.
            "COLUMNS": "400",
        }


def figures(score: float) -> Score:
    """A score with an interval around it."""
    return Score(
        protocol="1" * 64,
        prompts_digest="3" * 64,
        score=score,
        low=score - 0.01,
        high=score + 0.01,
        wer=1 - score,
        human_likeness=score,
        scored=2,
        unscored=0,
    )
