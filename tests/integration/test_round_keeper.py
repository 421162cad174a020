"""The keeper of rounds as its operator runs it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from devnet_helpers import NETUID, RunningDevnet, new_wallet, running_devnet
from round_subnet import Subnet
from service_helpers import run_sql, wait_until
from service_processes import start_api
from worker_bench import SCORES, Bench

from scoring.competition import Rules
from utilities.chain import Chain
from voice_validation_api.rounds.records import RoundState

PROGRAM = ("voice_validation_api/round_keeper.py",)
SECONDS = 60.0


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path / "devnet") as running:
        yield running


@pytest.fixture
def subnet(devnet: RunningDevnet, bench: Bench, tmp_path: Path) -> Iterator[Subnet]:
    with Chain(devnet.url) as chain:
        yield Subnet(devnet, chain, bench, tmp_path, new_wallet(tmp_path, "service"), Rules())


def start(subnet: Subnet, *more: str) -> subprocess.Popen[bytes]:
    flags = ["--netuid", str(NETUID), "--subtensor.network", subnet.devnet.url]
    flags += ["--wallet.name", "service", "--wallet.path", str(subnet.wallets)]
    environment = {
        "HOME": str(subnet.wallets),
        "POSTGRES_URL": subnet.bench.dsn,
        "HF_ENDPOINT": subnet.bench.hub.url,
        "KEEPER_POLL_SECONDS": "0.05",
    }
    log = subnet.wallets / "keeper.log"
    return start_api(environment, log, program=PROGRAM, flags=[*flags, *more])


@pytest.mark.slow
def test_rounds_survive_a_keeper_that_is_killed_at_every_step(subnet: Subnet) -> None:
    """One keeper does no more than one step, if it comes that far: then it is killed."""
    first, second = subnet.commit("one"), subnet.commit("two")
    length, delay = subnet.rules.round_length, subnet.rules.seed_delay
    number = subnet.chain.block() // length + 1

    def until(state: RoundState) -> None:
        keeper = start(subnet)
        try:
            wait_until(
                lambda: any(
                    (row.number, row.state) == (number, state)
                    for row in subnet.ledger.listed(limit=5, offset=0)
                ),
                SECONDS,
            )
        finally:
            keeper.kill()
            keeper.wait()

    subnet.advance_to(number * length)
    until(RoundState.OPEN)
    subnet.advance_to(number * length + delay)
    until(RoundState.SCORING)
    subnet.bench.work(SCORES)
    until(RoundState.CLOSED)
    snapshot = subnet.published(number)
    assert [s.submission_id for s in snapshot.standings] == [first.id, second.id]
    scored = run_sql(subnet.bench.dsn, "SELECT submission_id, count(*) FROM results GROUP BY 1")
    assert sorted(scored) == [(first.id, 1), (second.id, 1)]


def test_it_stops_as_told(subnet: Subnet) -> None:
    waiting = subnet.bench.submit("waiting")
    keeper = start(subnet)
    pinned = "SELECT pinned_block IS NOT NULL FROM submissions WHERE id = %s"
    wait_until(lambda: run_sql(subnet.bench.dsn, pinned, waiting.id) == [(True,)], SECONDS)
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(SECONDS) == 0


def test_without_its_wallet_it_says_so(subnet: Subnet) -> None:
    keeper = start(subnet, "--wallet.hotkey", "other")
    assert keeper.wait(SECONDS) == 4
    assert (
        "there is no hotkey 'other' in wallet 'service'"
        in (subnet.wallets / "keeper.log").read_text()
    )
