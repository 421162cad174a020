"""The model queue as a process, between a rehearsal chain and the real API on Postgres."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from devnet_helpers import NETUID, RunningDevnet, running_devnet
from hub_helpers import RunningHub, parler_files, running_hub
from neuron_processes import run_neuron, start_neuron
from service_helpers import run_sql, wait_until
from service_processes import ADMIN_KEY, running_api
from subnet_helpers import Subnet, key, reference_of

from neurons.model_queue_ledger import Ledger, State
from utilities.chain import Chain
from voice_validation_api.submission_queue import SubmissionQueue

STOP_SECONDS = 30


@dataclass(frozen=True)
class Operator:
    """Who runs a queue, with a home of its own, for a chain and an API."""

    subnet: Subnet
    home: Path
    hub: RunningHub
    dsn: str
    api_port: str

    @property
    def flags(self) -> tuple[str, ...]:
        chain = ("--subtensor.chain_endpoint", self.subnet.devnet.url)
        port = ("--local-validation-api-port", self.api_port)
        return (*chain, "--use-local-validation-api", *port)

    @property
    def api_environment(self) -> dict[str, str]:
        return {
            "POSTGRES_URL": self.dsn,
            "ADMIN_KEY": ADMIN_KEY,
            "HF_ENDPOINT": self.hub.url,
            "VAR_DIR": str(self.home / "api"),
        }

    def run_once(self, *flags: str, admin_key: str = ADMIN_KEY) -> subprocess.CompletedProcess[str]:
        """One pass."""
        return run_neuron(
            "model_queue",
            self.home,
            *self.flags,
            "--immediate",
            *flags,
            environment={"ADMIN_KEY": admin_key},
        )

    def start(self) -> subprocess.Popen[bytes]:
        """The queue, running until it is told to stop."""
        return start_neuron(
            "model_queue",
            self.home,
            *self.flags,
            environment={"ADMIN_KEY": ADMIN_KEY, "NEURON_POLL_SECONDS": "0.1"},
            log_file=self.home / "queue.log",
        )

    def recorded(self, state: State) -> list[int]:
        """The blocks of the commitments that the queue's ledger has in a state."""
        path = self.home / "var" / "model_queue" / f"netuid-{NETUID}.sqlite3"
        if not path.exists():
            return []
        with closing(Ledger(path)) as ledger:
            return sorted(found.block for found in ledger.in_state(state))

    def submissions(self) -> list[tuple[Any, ...]]:
        """What the service has, in the order of its blocks."""
        return run_sql(
            self.dsn,
            "SELECT block, status::text, hotkey, revision, committed_digest FROM submissions "
            "ORDER BY block",
        )


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path / "chain") as running:
        yield running


@pytest.fixture
def operator(
    devnet: RunningDevnet, hub: RunningHub, dsn: str, tmp_path: Path
) -> Iterator[Operator]:
    home = tmp_path / "home"
    home.mkdir()
    with (
        Chain(devnet.url) as chain,
        closing(Ledger(tmp_path / "unused.sqlite3")) as ledger,
    ):
        yield Operator(Subnet(devnet, chain, ledger, tmp_path), home, hub, dsn, _free_port())


def test_one_pass_submits_what_is_there_and_sets_the_minerboard(
    operator: Operator, tmp_path: Path
) -> None:
    subnet = operator.subnet
    revision = operator.hub.publish("pinned", parler_files())
    newest = operator.hub.publish("short", parler_files())
    pinned, short, gone, wrong, idle = (subnet.miner(name) for name in "psgwi")
    blocks = [
        subnet.commit(pinned, reference_of(pinned, "pinned", revision)),
        subnet.commit(short, reference_of(short, "short")),
        subnet.commit(gone, reference_of(gone, "not-there")),
    ]
    subnet.commit(wrong, "what is this?")
    log_file = tmp_path / "api.log"
    with running_api(operator.api_environment, log_file, port=operator.api_port) as api:
        refused = operator.run_once(admin_key="guess")
        assert refused.returncode == 1
        assert "ADMIN_KEY_WRONG" in refused.stderr
        assert operator.recorded(State.PENDING) == blocks
        assert operator.submissions() == []

        done = operator.run_once()
        assert done.returncode == 0, done.stderr
        assert operator.recorded(State.SUBMITTED) == blocks
        assert [row[:2] for row in operator.submissions()] == [
            (blocks[0], "QUEUED"),
            (blocks[1], "QUEUED"),
            (blocks[2], "FAILED"),
        ]
        assert [row[2:] for row in operator.submissions()][:2] == [
            (key(pinned), revision, "cd" * 32),
            (key(short), newest, None),
        ]
        board = api.client.get("/minerboard").json()
        assert [row["uid"] for row in board] == [0, 1, 2, 3]
        assert [row["status"] for row in board] == ["QUEUED", "QUEUED", "FAILED", None]
        assert board[0]["details"]["coldkey"] == pinned.coldkeypub.ss58_address
        assert "6 or 8" in board[3]["details"]["problem"]
        assert key(idle) not in {row["hotkey"] for row in board}
        assert f"malformed: hotkey={key(wrong)}" in refused.stderr
        assert ADMIN_KEY not in refused.stderr + done.stderr

        again = operator.run_once()
        assert again.returncode == 0, again.stderr
        assert "submitted:" not in again.stderr
        assert len(operator.submissions()) == 3


def test_a_second_model_is_submitted_while_the_first_is_being_scored(
    operator: Operator, queue: SubmissionQueue, tmp_path: Path
) -> None:
    miner = operator.subnet.miner()
    operator.hub.publish("first", parler_files())
    operator.hub.publish("second", parler_files())
    first = operator.subnet.commit(miner, reference_of(miner, "first"))
    with running_api(operator.api_environment, tmp_path / "api.log", port=operator.api_port):
        assert operator.run_once().returncode == 0
        claim = queue.claim()
        assert claim is not None
        queue.start_running(claim)
        second = operator.subnet.commit(miner, reference_of(miner, "second"))
        assert operator.run_once().returncode == 0
        assert [row[:2] for row in operator.submissions()] == [
            (first, "RUNNING"),
            (second, "QUEUED"),
        ]


def test_while_the_hub_is_down_a_submission_waits_in_the_queue(
    operator: Operator, tmp_path: Path
) -> None:
    miner = operator.subnet.miner()
    block = operator.subnet.commit(miner, reference_of(miner))
    down = {**operator.api_environment, "HF_ENDPOINT": "http://127.0.0.1:1"}
    with running_api(down, tmp_path / "api.log", port=operator.api_port):
        failed = operator.run_once()
        assert failed.returncode == 3
        assert "HUB_UNREACHABLE" in failed.stderr
    assert operator.recorded(State.PENDING) == [block]
    assert operator.submissions() == []


@pytest.mark.slow
def test_outages_of_api_and_chain_and_a_killed_queue_lose_nothing(
    operator: Operator, tmp_path: Path
) -> None:
    subnet = operator.subnet
    for name in ("a", "b", "c", "d"):
        operator.hub.publish(name, parler_files())
    miner = subnet.miner()
    blocks = [subnet.commit(miner, reference_of(miner, "a"))]
    process = operator.start()
    wait_until(lambda: operator.recorded(State.PENDING) == blocks)  # The API is down.
    process.send_signal(signal.SIGKILL)
    process.wait(STOP_SECONDS)
    blocks.append(subnet.commit(miner, reference_of(miner, "b")))
    blocks.append(subnet.commit(miner, reference_of(miner, "c")))
    process = operator.start()
    try:
        wait_until(lambda: operator.recorded(State.PENDING) == blocks)
        assert subnet.devnet.stop() == 0
        log = operator.home / "queue.log"
        wait_until(lambda: "CHAIN_UNREACHABLE" in log.read_text(), 60)
        port = subnet.devnet.url.rsplit(":", 1)[1]
        with running_devnet(subnet.devnet.root, "--manual", "--port", port):
            blocks.append(subnet.commit(miner, reference_of(miner, "d")))
            with running_api(
                operator.api_environment, tmp_path / "api.log", port=operator.api_port
            ):
                wait_until(lambda: operator.recorded(State.SUBMITTED) == blocks, 120)
        assert [row[:2] for row in operator.submissions()] == [
            (block, "QUEUED") for block in blocks
        ]
        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()


def _free_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])
