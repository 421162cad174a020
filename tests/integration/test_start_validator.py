"""The auto-updater as its user starts it: real PM2, real git, versions that come up and others."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_services import wait_until
from devnet_helpers import running_devnet
from updater_house import CRASHING, HEALTHY, SECONDS, SILENT, House, furnished


@pytest.fixture
def house(tmp_path: Path, pm2_bin: Path) -> Iterator[House]:
    with running_devnet(tmp_path / "devnet") as devnet, furnished(tmp_path, pm2_bin) as made:
        made.chain = devnet.url
        yield made


@pytest.mark.slow
def test_good_versions_are_installed_and_bad_ones_rolled_back_once(house: House) -> None:
    house.start()
    house.wait_for_version(1)
    chain = ["--subtensor.chain_endpoint", house.chain]
    assert house.health()["flags"] == [*chain, "--wallet.name", "cold", "--wallet.hotkey", "hot"]

    (house.clone / "README").write_text("a\nb\nmine\n")
    good = house.publish(HEALTHY, 2)
    house.wait_for_version(2)
    house.wait_for_end_of_trial()
    assert house.head() == good
    assert (house.clone / "README").read_text() == "a\nb\nmine\n"

    pid = house.health()["pid"]
    bad = house.publish(CRASHING, 3)
    wait_until(lambda: bad in house.state().get("bad", {}), SECONDS, "the rollback")
    wait_until(lambda: house.health().get("pid", pid) != pid, SECONDS, "version 2 again")
    assert house.head() == good
    assert "ended" in house.state()["bad"][bad]
    # Nobody is there to report it to.
    wait_until(lambda: "the rollback is not reported" in house.log, SECONDS, "the report")
    assert (house.clone / "README").read_text() == "a\nb\nmine\n"

    # No loop: several looks later the bad version was not tried again.
    pid = house.health()["pid"]
    fetched = house.clone / ".git/FETCH_HEAD"
    for _ in range(3):
        last = fetched.stat().st_mtime_ns
        wait_until(lambda last=last: fetched.stat().st_mtime_ns > last, SECONDS, "another look")
    assert house.health()["pid"] == pid
    assert house.head() == good

    better = house.publish(HEALTHY, 4)
    house.wait_for_version(4)
    house.wait_for_end_of_trial()
    assert house.head() == better

    house.run("pm2", "stop", "sn231-vali-updater")
    assert house.process("sn231-vali")["pm2_env"]["status"] == "online"


@pytest.mark.slow
def test_an_updater_killed_in_the_middle_of_a_trial_ends_the_trial_at_its_next_start(
    house: House,
) -> None:
    house.start()
    house.wait_for_version(1)
    before, silent = house.head(), house.publish(SILENT, 2)
    wait_until(lambda: house.head() == silent, SECONDS, "the silent version")
    wait_until(
        lambda: house.started_at("sn231-vali") > house.started_at("sn231-vali-updater"),
        SECONDS,
        "the start of the silent version",
    )
    # PM2 starts the updater anew.
    os.kill(house.process("sn231-vali-updater")["pid"], signal.SIGKILL)
    wait_until(lambda: silent in house.state().get("bad", {}), SECONDS, "the rollback")
    assert "no healthy pass" in house.state()["bad"][silent]
    house.wait_for_version(1)
    assert house.head() == before


@pytest.mark.slow
def test_a_new_updater_takes_over_and_a_broken_one_does_not(house: House) -> None:
    house.start()
    house.wait_for_version(1)
    pid = house.process("sn231-vali-updater")["pid"]
    script = house.author / "scripts/start_validator.py"
    script.write_text(script.read_text() + "\n# The next release of the updater.\n")
    house.publish(HEALTHY, 2)
    told = "going on as the updater of the new version"
    wait_until(lambda: told in house.log, SECONDS, "the new updater")
    script.write_text("raise SystemExit(1)\n")
    house.publish(HEALTHY, 3)
    wait_until(lambda: "going on with this one" in house.log, SECONDS, "the refusal")
    house.publish(HEALTHY, 4)
    house.wait_for_version(4)
    updater = house.process("sn231-vali-updater")
    assert (updater["pid"], updater["pm2_env"]["restart_time"]) == (pid, 0)
