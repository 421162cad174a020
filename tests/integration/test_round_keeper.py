"""The keeper of rounds as its operator runs it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from devnet_helpers import NETUID, RunningDevnet, new_wallet, running_devnet
from round_subnet import Subnet
from service_helpers import run_sql, wait_until
from service_processes import running_api, start_api
from validator_bench import Subnet as ValidatorSubnet
from worker_bench import SCORES, Bench

from neurons import exit_codes
from scoring.competition import Rules
from utilities.chain import Chain
from voice_validation_api.rounds.records import RoundState
from voice_validation_api.submission_queue import SubmissionQueue

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


def start(subnet: Subnet, *more: str, wallet: str = "service") -> subprocess.Popen[bytes]:
    flags = ["--netuid", str(NETUID), "--subtensor.network", subnet.devnet.url]
    flags += ["--wallet.name", wallet, "--wallet.path", str(subnet.wallets)]
    environment = {
        "HOME": str(subnet.wallets),
        "POSTGRES_URL": subnet.bench.dsn,
        "HF_ENDPOINT": subnet.bench.hub.url,
        "KEEPER_POLL_SECONDS": "0.05",
    }
    log = log_of(subnet, wallet)
    return start_api(environment, log, program=PROGRAM, flags=[*flags, *more])


def log_of(subnet: Subnet, wallet: str = "service") -> Path:
    return subnet.wallets / f"{wallet}.log"


@contextmanager
def keeping(subnet: Subnet, *more: str, wallet: str = "service") -> Iterator[None]:
    """A keeper that runs, and is killed at the end."""
    keeper = start(subnet, *more, wallet=wallet)
    try:
        yield
        assert keeper.poll() is None, log_of(subnet, wallet).read_text()
    finally:
        keeper.kill()
        keeper.wait()


def wait_for(subnet: Subnet, number: int, state: RoundState) -> None:
    wait_until(
        lambda: any(
            (row.number, row.state) == (number, state)
            for row in subnet.ledger.listed(limit=5, offset=0)
        ),
        SECONDS,
    )


@pytest.mark.slow
def test_rounds_survive_a_keeper_that_is_killed_at_every_step(subnet: Subnet) -> None:
    """One keeper does no more than one step, if it comes that far: then it is killed."""
    first, second = subnet.commit("one"), subnet.commit("two")
    length, delay = subnet.rules.round_length, subnet.rules.seed_delay
    number = subnet.chain.block() // length + 1

    def until(state: RoundState) -> None:
        with keeping(subnet):
            wait_for(subnet, number, state)

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


@pytest.mark.slow
def test_the_signing_hotkey_is_changed_without_a_gap_in_the_weights(
    subnet: Subnet, tmp_path: Path
) -> None:
    """Old and new keeper run side by side, and a validator weighs what each of them signs."""
    subnet.devnet.rule("WeightsSetRateLimit", 0)
    length, delay = subnet.rules.round_length, subnet.rules.seed_delay
    miner = subnet.devnet.member(subnet.wallets, "miner")
    subnet.commit("one", miner)
    old, new = subnet.signer, new_wallet(subnet.wallets, "new")
    first = subnet.chain.block() // length + 1
    signers = f"{old.hotkey.ss58_address},{new.hotkey.ss58_address}@{first + 1}"
    handover = ("--round_signers", signers)
    environment = {
        "POSTGRES_URL": subnet.bench.dsn,
        "VAR_DIR": str(tmp_path / "api"),
        "API_HOTKEY": old.hotkey.ss58_address,
        "ROUND_SIGNERS": signers,
        "API_DATABASE_CONNECTIONS": "2",
    }

    def through(number: int) -> None:
        subnet.advance_to(number * length)
        wait_for(subnet, number, RoundState.OPEN)
        subnet.advance_to(number * length + delay)
        wait_for(subnet, number, RoundState.SCORING)
        subnet.bench.work(SCORES)
        wait_for(subnet, number, RoundState.CLOSED)

    with (
        keeping(subnet, *handover),
        keeping(subnet, *handover, wallet="new"),
        running_api(environment, tmp_path / "api.log") as api,
    ):
        validators = ValidatorSubnet(
            devnet=subnet.devnet,
            api_url=str(api.client.base_url).rstrip("/"),
            dsn=subnet.bench.dsn,
            store=subnet.bench.store,
            queue=SubmissionQueue(subnet.bench.database, worker_id="w", lease=timedelta(minutes=1)),
            home=tmp_path,
            validator=subnet.devnet.member(tmp_path, "coldkey4", stake=1_000.0),
        )
        through(first)
        # Told of the hand-over, told before there was one, and told nothing: it believes the API.
        told, outdated, trusting = handover, ("--round_signers", old.hotkey.ss58_address), ()
        for flags in (told, outdated, trusting):
            done = validators.run(*flags)
            assert done.returncode == exit_codes.OK, done.stderr
        through(first + 1)
        before = validators.last_update()
        for flags in (told, trusting):
            done = validators.run(*flags)
            assert done.returncode == exit_codes.OK, done.stderr
            assert f"round {first + 1}" in done.stdout
        assert validators.last_update() > before
        done = validators.run(*outdated)
        assert done.returncode == exit_codes.REFUSED
        assert f"round {first + 1} cannot be trusted" in done.stderr
        assert list(validators.weights()) == [miner.hotkey.ss58_address]
        signed = [
            api.client.get(f"/rounds/{number}").json()["hotkey"] for number in (first, first + 1)
        ]
    assert signed == [old.hotkey.ss58_address, new.hotkey.ss58_address]
    # Where the round is published already, it is too late to say that another signs it.
    keeper = start(
        subnet,
        "--round_signers",
        f"{old.hotkey.ss58_address},{new.hotkey.ss58_address}@{first + 2}",
    )
    assert keeper.wait(SECONDS) == 2
    assert f"signs round {first + 1}, but" in log_of(subnet).read_text()


def test_a_keeper_that_signs_no_round_does_not_start(subnet: Subnet) -> None:
    other = new_wallet(subnet.wallets, "other").hotkey.ss58_address
    keeper = start(subnet, "--round_signers", other)
    assert keeper.wait(SECONDS) == 2
    assert "is not among them" in log_of(subnet).read_text()


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
    assert "there is no hotkey 'other' in wallet 'service'" in log_of(subnet).read_text()
