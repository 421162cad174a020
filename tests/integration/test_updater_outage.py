"""The auto-updater while the chain is down: no version is blamed for that, and none is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from demo_services import wait_until
from devnet_helpers import new_wallet, running_devnet
from neuron_processes import neuron_environment
from service_helpers import run_sql
from service_processes import running_api
from updater_house import READING, ROOT, SECONDS, furnished
from updater_report import Rollback
from validator_bench import SERVICE_HOTKEY

from utilities.chain_probe import ChainProbe

# Of the outage, and at its end for a busy machine to start the version.
PATIENCE = ("--health_timeout", "15")


@pytest.mark.slow
def test_a_version_that_the_chain_gave_no_chance_is_tried_again_once_it_answers(
    tmp_path: Path, pm2_bin: Path
) -> None:
    with furnished(tmp_path, pm2_bin) as house:
        # Its report goes to a program of the version before: here to one that keeps it.
        house.keep_reports()
        with running_devnet(tmp_path / "devnet") as devnet:
            house.chain = devnet.url
            port = devnet.url.rsplit(":", 1)[1]
            house.start(*PATIENCE)
            house.wait_for_version(1)
        before, good = house.head(), house.publish(READING, 2)
        wait_until(lambda: good in house.state().get("unproven", []), SECONDS, "the end of trying")
        wait_until(lambda: house.head() == before, SECONDS, "the version before")
        house.wait_for_version(1)
        assert "this time is not held against the version" in house.log
        assert f"version {good[:12]} is neither good nor bad" in house.log
        wait_until(lambda: bool(house.reports()), SECONDS, "the report")
        [report] = house.reports()
        assert (report["failed"], report["back_to"], report["unproven"]) == (good, before, True)
        assert "the chain did not answer" in report["reason"]

        with running_devnet(tmp_path / "devnet", "--port", port):
            house.wait_for_version(2)
            house.wait_for_end_of_trial()
            assert house.head() == good
            assert house.state().get("bad", {}) == {}


def test_the_api_is_told_by_signature_that_a_version_is_not_blamed(
    dsn: str, tmp_path: Path
) -> None:
    wallet = new_wallet(tmp_path / "wallets", "cold")
    rollback = Rollback(
        failed="a" * 40,
        back_to="b" * 40,
        reason="the chain did not answer",
        back_to_failure=None,
        unproven=True,
    )
    settings = {
        "POSTGRES_URL": dsn,
        "VAR_DIR": str(tmp_path / "api"),
        "API_HOTKEY": SERVICE_HOTKEY,
        "API_DATABASE_CONNECTIONS": "2",
    }
    with running_api(settings, tmp_path / "api.log") as api:
        url = str(api.client.base_url).rstrip("/")
        flags = ["--wallet.name", "cold", "--wallet.path", str(tmp_path / "wallets")]
        subprocess.run(
            [sys.executable, "scripts/report_rollback.py", *flags],
            cwd=ROOT,
            env=neuron_environment(tmp_path, {"VALIDATION_API_URL": url}),
            input=rollback.model_dump_json(exclude_defaults=True),
            text=True,
            check=True,
        )
    [(told, hotkey, signed)] = run_sql(
        dsn, "SELECT payload -> 'payload', hotkey, signed FROM event_reports"
    )
    assert (told["event"], told["unproven"]) == ("VERSION_UNPROVEN", True)
    assert (hotkey, signed) == (wallet.hotkey.ss58_address, True)


def test_a_probe_tells_a_chain_from_what_is_none(tmp_path: Path) -> None:
    with running_devnet(tmp_path / "devnet") as devnet:
        assert ChainProbe(devnet.url).answers()
    assert not ChainProbe(devnet.url).answers()
    assert not ChainProbe("ws://127.0.0.1:9").answers()
    assert not ChainProbe("ws://no such host").answers()
