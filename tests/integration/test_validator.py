"""The validator as a process, against a rehearsal chain, the API and its database."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from devnet_helpers import NETUID, RunningDevnet, new_wallet, running_devnet
from service_helpers import fresh_database, run_sql, wait_until
from service_processes import ADMIN_KEY, RunningApi, running_api
from validator_bench import SERVICE_HOTKEY, Subnet

from neurons import exit_codes
from utilities.chain import Chain
from voice_validation_api.database import Database
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

TEMPO = 10
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def api(
    server: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningApi, str]]:
    place = tmp_path_factory.mktemp("api")
    with fresh_database(server, template) as dsn:
        environment = {
            "POSTGRES_URL": dsn,
            "ADMIN_KEY": ADMIN_KEY,
            "VAR_DIR": str(place),
            "API_HOTKEY": SERVICE_HOTKEY,
            "API_DATABASE_CONNECTIONS": "2",
            # Validators look right after something has changed.
            "API_BOARD_SECONDS": "0",
        }
        with running_api(environment, place / "api.log") as running:
            yield running, dsn


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path / "devnet", "--manual", "--tempo", str(TEMPO)) as running:
        yield running


@pytest.fixture
def subnet(api: tuple[RunningApi, str], devnet: RunningDevnet, tmp_path: Path) -> Iterator[Subnet]:
    """A subnet with a validator and without miners; its rate limit is off."""
    running, dsn = api
    run_sql(dsn, "TRUNCATE submissions, telemetry_reports, event_reports CASCADE")
    database = Database(dsn, size=1, application="tests")
    yield Subnet(
        devnet=devnet,
        api_url=str(running.client.base_url).rstrip("/"),
        dsn=dsn,
        store=Store(database),
        queue=SubmissionQueue(database, worker_id="worker", lease=timedelta(seconds=60)),
        home=tmp_path,
        validator=devnet.member(tmp_path, "coldkey4", stake=1_000.0),
    )
    database.close()


@pytest.fixture
def unhurried(subnet: Subnet) -> Subnet:
    """A subnet on which weights may be set at any time."""
    subnet.devnet.rule("WeightsSetRateLimit", 0)
    return subnet


@contextmanager
def stopped_at_the_end(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_scores_become_weights_on_the_chain(unhurried: Subnet) -> None:
    subnet = unhurried
    best = subnet.entrant("best", 0.9)
    second = subnet.entrant("second", 0.6)
    subnet.commit(subnet.miner("unscored"), "unscored")
    done = subnet.run()
    assert done.returncode == exit_codes.OK, done.stderr
    for shown in ("lab/best", "lab/second", best.hotkey, "0.9000", "leaderboard"):
        assert shown in done.stdout
    weights = subnet.weights()
    assert sorted(weights, key=lambda hotkey: -weights[hotkey]) == [
        best.hotkey,
        second.hotkey,
    ]
    assert weights[best.hotkey] == 65_535
    [(told, hotkey, signed)] = subnet.reports("telemetry_reports")
    assert (hotkey, signed) == (subnet.hotkey, True)
    assert told["outcome"] == "set"
    assert told["win_rates"][best.hotkey] > told["win_rates"][second.hotkey]
    part = told["weights"]
    assert sum(part.values()) == pytest.approx(1.0)
    assert weights[second.hotkey] == round(65_535 * part[second.hotkey] / part[best.hotkey])
    assert subnet.health()["outcome"] == "set"


def test_anybody_sees_the_same_ranking_without_a_key(unhurried: Subnet, tmp_path: Path) -> None:
    subnet = unhurried
    good = subnet.entrant("good", 0.5)
    other = subnet.commit(subnet.miner("other"), "other")
    subnet.scored(other, 0.9, name="another")
    moved = subnet.commit(subnet.miner("moved"), "moved")
    subnet.scored(moved, 0.9, revision="cd" * 20)
    silent = subnet.miner("silent")
    subnet.scored(replace(moved, wallet=silent, block=1), 0.9)
    garbled = subnet.miner("garbled")
    with Chain(subnet.devnet.url) as chain:
        block = chain.commit(NETUID, "lab:garbled:default", garbled).block
    subnet.scored(replace(moved, wallet=garbled, block=block), 0.9)
    stranger = new_wallet(tmp_path / "miners", "stranger")
    subnet.scored(replace(moved, wallet=stranger, block=block + 1), 0.9)
    subnet.devnet.control("advance", blocks=1)

    shown = subnet.run("--dont_set_weights")
    assert shown.returncode == exit_codes.OK, shown.stderr
    for reason in (
        "lab/other was committed, and lab/another scored",
        "was committed, and cdcdcd",
        "its hotkey has no commitment",
        "its commitment is malformed: the reference has 3 fields",
        "its hotkey is not registered",
    ):
        assert reason in shown.stdout, shown.stdout
    assert subnet.weights() == {}

    looked = subnet.run("--offline", "--wallet.name", "nobody", VAR_DIR=str(tmp_path / "elsewhere"))
    assert looked.returncode == exit_codes.OK, looked.stderr
    assert looked.stdout == shown.stdout
    assert not (tmp_path / "elsewhere").exists()
    assert len(subnet.reports("telemetry_reports")) == 1
    assert good.hotkey in looked.stdout


def test_a_scored_model_counts_while_its_successor_waits_but_not_for_ever(
    unhurried: Subnet,
) -> None:
    subnet = unhurried
    first = subnet.entrant("first", 0.5)
    subnet.commit(first.wallet, "second")
    assert subnet.run().returncode == exit_codes.OK
    assert list(subnet.weights()) == [first.hotkey]
    # Committing again and again renews nothing.
    subnet.devnet.control("advance", blocks=7_100)
    subnet.commit(first.wallet, "third")
    subnet.devnet.control("advance", blocks=200)
    shown = subnet.run("--offline")
    assert "for more than 7,200 blocks" in shown.stdout


def test_weights_survive_a_kill_before_they_were_set_and_an_api_that_is_gone(
    subnet: Subnet,
) -> None:
    best = subnet.entrant("best", 0.9)
    with stopped_at_the_end(subnet.start()) as validator:
        subnet.wait_for_pass("waits")  # the rate limit counts from the registration
        assert subnet.weights() == {}
        validator.send_signal(signal.SIGKILL)
        validator.wait()
    assert subnet.run().returncode == exit_codes.LATER
    subnet.devnet.control("advance", blocks=100)
    with stopped_at_the_end(subnet.start(VALIDATION_API_URL=NOBODY)) as validator:
        subnet.wait_for_pass("set")
        assert list(subnet.weights()) == [best.hotkey]
        assert "API_UNAVAILABLE" in subnet.health()["problems"]
        validator.send_signal(signal.SIGTERM)
        assert validator.wait(20) == 0
    assert subnet.state()["set_at"] == subnet.last_update()


def test_the_rate_limit_is_waited_for(subnet: Subnet) -> None:
    best = subnet.entrant("best", 0.9)
    with stopped_at_the_end(subnet.start("--logging.debug")):
        waited = subnet.wait_for_pass("waits")
        subnet.devnet.control("advance", blocks=100)
        subnet.wait_for_pass("set", after=waited)
    assert list(subnet.weights()) == [best.hotkey]
    assert subnet.state()["failures"] == 0
    assert "DEBUG neurons.validator_pass: Line(rank=1, uid=1" in subnet.log


def test_another_mechanism_has_weights_of_its_own(unhurried: Subnet) -> None:
    subnet = unhurried
    subnet.entrant("best", 0.9)
    subnet.devnet.rule("MechanismCountCurrent", 2)
    assert subnet.run("--mechid", "1").returncode == exit_codes.OK
    assert subnet.weights() == {}
    with subnet.devnet.client() as client:
        found = client.query(("SubtensorModule", "Weights"), [4_096 + NETUID, 0])
    assert [tuple(pair) for pair in found] == [(1, 65_535)]


def test_without_the_api_the_last_weights_stand_and_are_renewed_in_time(
    devnet: RunningDevnet, unhurried: Subnet, tmp_path: Path
) -> None:
    environment = {
        "POSTGRES_URL": unhurried.dsn,
        "VAR_DIR": str(tmp_path / "api"),
        "API_HOTKEY": SERVICE_HOTKEY,
        "API_DATABASE_CONNECTIONS": "2",
    }
    devnet.rule("ActivityCutoff", 4 * TEMPO)
    best = unhurried.entrant("best", 0.6)
    with running_api(environment, tmp_path / "api.log") as api:
        url = str(api.client.base_url).rstrip("/")
        subnet = replace(unhurried, api_url=url)
        validator = subnet.start()
        with stopped_at_the_end(validator):
            subnet.wait_for_pass("set")
            weights, set_at = subnet.weights(), subnet.last_update()
            assert list(weights) == [best.hotkey]
            api.stop()
            devnet.control("advance", blocks=TEMPO)
            subnet.wait_for_pass("stands", after=set_at)
            assert subnet.last_update() == set_at
            devnet.control("advance", blocks=TEMPO)
            subnet.wait_for_pass("set", after=set_at + TEMPO)
            assert subnet.weights() == weights
            devnet.control("advance", blocks=TEMPO)
            better = subnet.entrant("better", 0.9)
            with running_api(environment, tmp_path / "api2.log", port=url.rsplit(":", 1)[1]):
                wait_until(lambda: better.hotkey in subnet.weights(), 30)
    assert max(subnet.weights(), key=subnet.weights().__getitem__) == better.hotkey


def test_a_node_that_restarts_and_a_miner_that_loses_its_place(
    unhurried: Subnet, tmp_path: Path
) -> None:
    subnet = unhurried
    gone, kept = subnet.entrant("gone", 0.9), subnet.entrant("kept", 0.5)
    port = subnet.devnet.url.rsplit(":", 1)[1]
    with stopped_at_the_end(subnet.start()) as validator:
        block = subnet.wait_for_pass("set")
        assert set(subnet.weights()) == {gone.hotkey, kept.hotkey}
        assert subnet.devnet.stop() == 0
        wait_until(lambda: "the chain cannot be read" in subnet.log)
        again = running_devnet(
            subnet.devnet.root, "--manual", "--tempo", str(TEMPO), "--port", port
        )
        with again as devnet:
            newcomer = new_wallet(tmp_path / "miners", "newcomer")
            devnet.control(
                "replace",
                netuid=NETUID,
                hotkey=gone.hotkey,
                by=newcomer.hotkey.ss58_address,
                coldkey=newcomer.coldkeypub.ss58_address,
            )
            devnet.control("advance", blocks=TEMPO)
            subnet.wait_for_pass("set", after=block + 1)
            assert list(subnet.weights()) == [kept.hotkey]
            validator.send_signal(signal.SIGINT)
            assert validator.wait(20) == 0
    events = [payload["payload"]["event"] for payload, _, _ in subnet.reports("event_reports")]
    assert events[0] == "CHAIN_UNREACHABLE"


@pytest.mark.skipif(sys.platform != "linux", reason="the sealing SDK is made on Linux only")
def test_sealed_weights_count_an_epoch_later(unhurried: Subnet) -> None:
    subnet = unhurried
    best = subnet.entrant("best", 0.9)
    subnet.devnet.rule("CommitRevealWeightsEnabled", 1)
    done = subnet.run(PYTHONPATH=str(subnet.devnet.root / "sdk"))
    assert done.returncode == exit_codes.OK, done.stderr
    assert "sealed until" in done.stderr
    assert subnet.weights() == {}
    subnet.devnet.control("advance", blocks=25, seconds=60)
    assert subnet.weights() == {best.hotkey: 65_535}


def test_failing_to_set_weights_is_a_failure(unhurried: Subnet, tmp_path: Path) -> None:
    subnet = unhurried
    subnet.entrant("best", 0.9)
    subnet.devnet.rule("WeightsVersionKey", 1_000)
    done = subnet.run()
    assert done.returncode == exit_codes.REFUSED
    assert "Update this validator" in done.stderr
    assert (subnet.state()["failures"], subnet.weights(), subnet.health()) == (1, {}, {})
    [(event, hotkey, signed)] = subnet.reports("event_reports")
    assert event["payload"]["event"] == "VALIDATOR_OUTDATED"
    assert (hotkey, signed) == (subnet.hotkey, True)

    subnet.devnet.rule("WeightsVersionKey", 0)
    assert subnet.run().returncode == exit_codes.OK
    assert subnet.state()["failures"] == 0

    stranger = replace(subnet, validator=new_wallet(tmp_path, "stranger"))
    done = stranger.run()
    assert done.returncode == exit_codes.REFUSED
    assert "Register the hotkey" in done.stderr


def test_without_scores_nothing_is_set(unhurried: Subnet) -> None:
    done = unhurried.run()
    assert done.returncode == exit_codes.LATER
    assert "nothing is set" in done.stderr
    assert unhurried.weights() == {}
    assert unhurried.health()["outcome"] == "nothing"


def test_keys_and_chains_that_are_not_there_are_told(unhurried: Subnet) -> None:
    done = unhurried.run("--wallet.name", "nobody")
    assert done.returncode == exit_codes.SETTINGS
    assert "--wallet.name" in done.stderr
    done = unhurried.run("--subtensor.chain_endpoint", "ws://127.0.0.1:9")
    assert done.returncode == exit_codes.LATER
    assert "does not answer" in done.stderr
