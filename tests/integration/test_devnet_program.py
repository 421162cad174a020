"""The rehearsal chain as a program: starting, stopping, its state, its clock and its help."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from devnet_helpers import (
    NETUID,
    REPOSITORY_ROOT,
    RunningDevnet,
    commit,
    new_wallet,
    running_devnet,
    start_devnet,
)


def test_a_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    with running_devnet(tmp_path / "chain") as devnet:
        miner = devnet.member(tmp_path, "miner")
        with devnet.client() as client:
            commit(client, miner, {"Raw4": "0x" + b"kept".hex()})
        before = devnet.request("chain_getHeader", [])
        devnet.control("advance", seconds=5_000)
        assert devnet.stop() == 0
    with running_devnet(tmp_path / "chain") as devnet, devnet.client() as client:
        assert devnet.request("chain_getHeader", [])["parentHash"] == hash_of(devnet, before)
        assert client.subnets.commitments(NETUID)[miner.hotkey.ss58_address].data == "kept"
        assert commit(client, miner, {"Raw3": "0x" + b"new".hex()}).success
        assert client.time.timestamp() > time.time() + 4_000


def test_a_killed_chain_keeps_what_was_included(tmp_path: Path) -> None:
    with running_devnet(tmp_path / "chain") as devnet:
        miner = devnet.member(tmp_path, "miner")
        with devnet.client() as client:
            assert commit(client, miner, {"Raw4": "0x" + b"kept".hex()}).success
            height = client.block
        devnet.process.kill()
        devnet.process.wait()
    with running_devnet(tmp_path / "chain") as devnet, devnet.client() as client:
        assert client.block == height
        assert client.subnets.commitments(NETUID)[miner.hotkey.ss58_address].block == height


def test_blocks_come_by_themselves(tmp_path: Path) -> None:
    with running_devnet(tmp_path / "chain", "--block_seconds", "0.1") as devnet:
        miner = devnet.member(tmp_path, "miner")
        with devnet.client() as client:
            assert client.block_time() == 0.1
            target = client.block + 3
            assert client.wait_for_block(target, timeout=10).number >= target
            result = commit(client, miner, {"Raw4": "0x" + b"soon".hex()})
            assert result.success
            assert client.subnets.commitments(NETUID)[miner.hotkey.ss58_address].data == "soon"


def test_two_chains_never_share_a_genesis(tmp_path: Path) -> None:
    hashes = set()
    for name in ("one", "two"):
        with running_devnet(tmp_path / name) as devnet:
            hashes.add(devnet.request("chain_getBlockHash", [0]))
    assert len(hashes) == 2


def test_what_was_signed_for_one_chain_is_worth_nothing_on_another(tmp_path: Path) -> None:
    with running_devnet(tmp_path / "one") as one, running_devnet(tmp_path / "two") as two:
        miner = new_wallet(tmp_path, "miner")
        keys = {"hotkey": miner.hotkey.ss58_address, "coldkey": miner.coldkeypub.ss58_address}
        for devnet in (one, two):
            devnet.control("register", netuid=NETUID, **keys)
        with one.client() as client:
            assert commit(client, miner, {"Raw1": "0x00"}).success
        [extrinsic] = one.request("chain_getBlock", [])["block"]["extrinsics"]
        with pytest.raises(Exception, match="bad signature"):
            two.request("author_submitExtrinsic", [extrinsic])


def test_two_chains_do_not_share_a_directory(tmp_path: Path) -> None:
    with running_devnet(tmp_path):
        assert "another devnet keeps its state" in _refusal(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--port", "65536"), "65536 is not a number from 0 to 65535"),
        (("--block_seconds", "nan"), "nan is not a time"),
        (("--netuid", "4096"), "4096 is not a number"),
    ],
)
def test_impossible_settings_are_refused(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in _refusal(tmp_path, *arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_it_cleanly_with_a_client_connected(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_devnet(tmp_path) as devnet, devnet.client() as client:
        assert client.block == 0
        devnet.process.send_signal(number)
        _, errors = devnet.process.communicate(timeout=30)
    assert (devnet.process.returncode, errors) == (0, "")


def test_the_commands_that_help_teaches_work(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/devnet.py", "--help"],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    [command] = [line.strip() for line in done.stdout.splitlines() if line.startswith("  btcli")]
    with running_devnet(tmp_path / "chain") as devnet:
        miner = devnet.member(tmp_path, "miner")
        shown = _btcli(devnet, tmp_path, command)
    assert miner.hotkey.ss58_address[:5] in shown


def test_btcli_lists_the_subnet(tmp_path: Path) -> None:
    with running_devnet(tmp_path / "chain") as devnet:
        assert "1 subnets" in _btcli(devnet, tmp_path, "btcli --network local subnets list")


def hash_of(devnet: RunningDevnet, header: dict[str, str]) -> str:
    return str(devnet.request("chain_getBlockHash", [int(header["number"], 16)]))


def _btcli(devnet: RunningDevnet, home: Path, command: str) -> str:
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        env={**os.environ, "HOME": str(home), "BT_CHAIN_ENDPOINT": devnet.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _refusal(root: Path, *arguments: str) -> str:
    """What a devnet that cannot start says."""
    process = start_devnet(root, *arguments)
    try:
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 2
    return errors
