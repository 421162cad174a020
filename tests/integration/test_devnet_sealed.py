"""Sealed commitments on the rehearsal chain: waiting, revealed, failed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import bittensor as bt
import pytest
from devnet_helpers import NETUID, RunningDevnet, commit, running_devnet

SEAL = """
import sys
from bittensor import timelock
sealed = timelock.encrypt(sys.argv[1], reveal_in=sys.argv[2])
print(sealed.encrypted.hex(), bytes(sealed).hex(), sealed.reveal_round)
"""
LONGEST = "x" * 780
needs_sealing_sdk = pytest.mark.skipif(
    sys.platform != "linux", reason="the sealing SDK is made on Linux only"
)


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path_factory.mktemp("devnet")) as running:
        yield running


def seal(devnet: RunningDevnet, text: str, *, envelope: bool = False) -> dict[str, object]:
    """A field that opens about an hour after the chain's present time."""
    now = bt.timelock.current_round(devnet_seconds(devnet))
    reveal_in = (now - bt.timelock.current_round()) * 3 + 3_600
    inner, outer, reveal_round = devnet.run_sealing(SEAL, text, str(reveal_in)).split()
    encrypted = "0x" + (outer if envelope else inner)
    return {"TimelockEncrypted": {"encrypted": encrypted, "reveal_round": int(reveal_round)}}


def devnet_seconds(devnet: RunningDevnet) -> float:
    with devnet.client() as client:
        return float(client.time.timestamp())


@needs_sealing_sdk
@pytest.mark.parametrize("envelope", [False, True], ids=["ciphertext", "envelope"])
def test_a_sealed_commitment_opens_at_its_round(
    devnet: RunningDevnet, tmp_path: Path, *, envelope: bool
) -> None:
    miner = devnet.member(tmp_path, "miner")
    hotkey = miner.hotkey.ss58_address
    with devnet.client() as client:
        assert commit(client, miner, seal(devnet, LONGEST[:500], envelope=envelope)).success
        committed_at = client.block
        devnet.control("advance", seconds=3_500)
        waiting = client.subnets.commitments(NETUID)[hotkey]
        assert (waiting.status, waiting.value, waiting.block) == ("sealed", None, committed_at)
        devnet.control("advance", seconds=200)
        opened = client.subnets.commitments(NETUID)[hotkey]
        assert (opened.status, opened.value) == ("revealed", LONGEST[:500])
        assert opened.block == client.block
        before = client.subnets.commitments(NETUID, block=client.block - 1)[hotkey]
        assert (before.status, before.block) == ("sealed", committed_at)


@needs_sealing_sdk
def test_the_longest_payload_fits(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner = devnet.member(tmp_path, "miner")
    with devnet.client() as client:
        assert commit(client, miner, seal(devnet, LONGEST)).success
        refused = commit(client, miner, seal(devnet, LONGEST + "x" * 8))
    assert not refused.success


@needs_sealing_sdk
def test_an_open_part_stays_with_its_block(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner = devnet.member(tmp_path, "miner")
    hotkey = miner.hotkey.ss58_address
    with devnet.client() as client:
        commit(client, miner, {"Raw4": "0x" + b"open".hex()}, seal(devnet, "hidden"))
        committed_at = client.block
        devnet.control("advance", seconds=3_700)
        seen = client.subnets.commitments(NETUID)[hotkey]
    assert (seen.block, seen.data, seen.value) == (committed_at, "open", "hidden")


@needs_sealing_sdk
def test_a_new_commitment_replaces_a_sealed_one(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner = devnet.member(tmp_path, "miner")
    with devnet.client() as client:
        commit(client, miner, seal(devnet, "overwritten"))
        commit(client, miner, {"Raw3": "0x" + b"new".hex()})
        devnet.control("advance", seconds=3_700)
        seen = client.subnets.commitments(NETUID)[miner.hotkey.ss58_address]
    assert (seen.status, seen.value, seen.revealed) == ("plain", "new", [])


def test_what_another_beacon_would_open_fails_for_good(
    devnet: RunningDevnet, tmp_path: Path
) -> None:
    miner = devnet.member(tmp_path, "miner")
    hotkey = miner.hotkey.ss58_address
    with devnet.client() as client:
        ahead = client.time.timestamp()
        sealed = bt.timelock.encrypt("for the real beacon", reveal_at=ahead + 3_600)
        field = {"encrypted": "0x" + sealed.encrypted.hex(), "reveal_round": sealed.reveal_round}
        assert commit(client, miner, {"TimelockEncrypted": field}).success
        committed_at = client.block
        devnet.control("advance", seconds=3_700)
        seen = client.subnets.commitments(NETUID)[hotkey]
        assert (seen.status, seen.value, seen.block) == ("failed", None, committed_at)
        assert commit(client, miner, {"Raw3": "0x" + b"new".hex()}).success
        assert client.subnets.commitments(NETUID)[hotkey].status == "plain"
