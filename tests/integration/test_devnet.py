"""The rehearsal chain as a process, talked to by the real SDK: reading, committing, signing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import bittensor as bt
import pytest
from devnet_helpers import NETUID, RefusedError, RunningDevnet, commit, new_wallet, running_devnet


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path_factory.mktemp("devnet")) as running:
        yield running


def test_the_metagraph_names_who_is_registered(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner = devnet.member(tmp_path, "miner")
    validator = devnet.member(tmp_path, "validator", stake=1_000.0)
    with devnet.client() as client:
        graph = client.subnets.metagraph(NETUID)
        seen = {neuron.hotkey: neuron for neuron in graph.neurons}
        assert client.subnets.metagraph(7) is None
    assert graph.block == graph.neurons[-1].block_at_registration
    assert seen[miner.hotkey.ss58_address].coldkey == miner.coldkeypub.ss58_address
    assert not seen[miner.hotkey.ss58_address].validator_permit
    assert seen[validator.hotkey.ss58_address].validator_permit
    assert seen[validator.hotkey.ss58_address].total_stake.alpha == 1_000.0


def test_commitments_are_read_back_with_their_block(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner = devnet.member(tmp_path, "miner")
    hotkey = miner.hotkey.ss58_address
    long = "namespace:name:" + "x" * 400
    with devnet.client() as client:
        assert commit(client, miner, {"Raw5": "0x" + b"first".hex()}).success
        first = client.subnets.commitments(NETUID)[hotkey]
        assert (first.data, first.status, first.block) == ("first", "plain", client.block)
        assert commit(client, miner, {"BigRaw": "0x" + long.encode().hex()}).success
        second = client.subnets.commitments(NETUID)[hotkey]
        assert second.fields == [{"BigRaw": long}]
        assert second.block == first.block + 1
        neuron = client.subnets.metagraph(NETUID).by_hotkey(hotkey)
        assert neuron.commitment.block == second.block


def test_old_blocks_keep_their_state(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner = devnet.member(tmp_path, "miner")
    hotkey = miner.hotkey.ss58_address
    with devnet.client() as client:
        commit(client, miner, {"Raw3": "0x" + b"old".hex()})
        then = client.block
        commit(client, miner, {"Raw3": "0x" + b"new".hex()})
        assert client.subnets.commitments(NETUID, block=then)[hotkey].data == "old"
        assert client.subnets.commitments(NETUID)[hotkey].data == "new"
        assert client.subnets.commitments(NETUID, block=then - 1)[hotkey] is None


def test_a_stranger_may_not_commit(devnet: RunningDevnet, tmp_path: Path) -> None:
    stranger = new_wallet(tmp_path, "stranger")
    with devnet.client() as client:
        result = commit(client, stranger, {"Raw1": "0x00"})
    assert (result.success, result.error.name) == (False, "AccountNotAllowedCommit")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([{"Raw1": "0x00"}] * 4, "TooManyFieldsInCommitmentInfo"),
        ([{"BigRaw": "0x" + "00" * 513}], "Other"),
        ([{"TimelockRevealFailed": {"reveal_round": 1}}], "TimelockRevealFailedNotAllowed"),
    ],
    ids=["four fields", "a long field", "a forged failure"],
)
def test_impossible_commitments_fail(
    devnet: RunningDevnet, tmp_path: Path, fields: list[object], error: str
) -> None:
    miner = devnet.member(tmp_path, "miner")
    with devnet.client() as client:
        result = commit(client, miner, *fields)
        assert (result.success, result.error.name) == (False, error)
        assert client.subnets.commitments(NETUID)[miner.hotkey.ss58_address] is None


def test_the_quota_ends_and_returns_with_the_next_epoch(
    devnet: RunningDevnet, tmp_path: Path
) -> None:
    miner = devnet.member(tmp_path, "miner")
    devnet.rule("Tempo", 1_000)
    sixth = {"BigRaw": "0x" + "00" * 512}
    with devnet.client() as client:
        results = [commit(client, miner, sixth) for _ in range(7)]
        assert [result.success for result in results] == [True] * 6 + [False]
        assert results[-1].error.name == "SpaceLimitExceeded"
        devnet.control("advance", blocks=1_001)
        assert commit(client, miner, sixth).success


def test_registration_costs_the_burn(devnet: RunningDevnet, tmp_path: Path) -> None:
    wallet = new_wallet(tmp_path, "newcomer")
    hotkey, coldkey = wallet.hotkey.ss58_address, wallet.coldkeypub.ss58_address
    call = bt.calls.SubtensorModule.burned_register(netuid=NETUID, hotkey=hotkey)
    with devnet.client() as client:
        refused = client.submit_call(call, wallet)
        assert (refused.success, refused.error.name) == (False, "NotEnoughBalanceToStake")
        devnet.control("fund", account=coldkey, tao=1.0)
        assert client.submit_call(call, wallet).success
        assert client.balances.get(coldkey).tao == pytest.approx(0.9)
        assert client.subnets.metagraph(NETUID).by_hotkey(hotkey).coldkey == coldkey
        again = client.submit_call(call, wallet)
    assert again.error.name == "HotKeyAlreadyRegisteredInSubNet"


def test_a_replaced_hotkey_leaves_its_commitment_behind(
    devnet: RunningDevnet, tmp_path: Path
) -> None:
    miner, other = devnet.member(tmp_path, "miner"), new_wallet(tmp_path, "other")
    hotkey, heir = miner.hotkey.ss58_address, other.hotkey.ss58_address
    with devnet.client() as client:
        commit(client, miner, {"Raw4": "0x" + b"left".hex()})
        uid = client.subnets.metagraph(NETUID).by_hotkey(hotkey).uid
        coldkey = other.coldkeypub.ss58_address
        devnet.control("replace", netuid=NETUID, hotkey=hotkey, by=heir, coldkey=coldkey)
        graph = client.subnets.metagraph(NETUID)
    assert graph.by_hotkey(hotkey) is None
    assert graph.by_hotkey(heir).uid == uid
    assert graph.unregistered_commitments[hotkey].data == "left"


def test_signatures_are_checked(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner = devnet.member(tmp_path, "miner")
    call = bt.calls.Commitments.set_commitment(netuid=NETUID, info={"fields": [{"Raw1": "0x00"}]})

    async def submit_with(*, forged: bool) -> bt.ExtrinsicResult:
        async with bt.Subtensor(devnet.url) as client:
            address = miner.hotkey.ss58_address
            unsigned = await client.prepare_call(call, address=address)
            signature = bytearray(miner.hotkey.sign(unsigned.payload))
            signature[5] ^= forged
            return await client.submit_signature(unsigned, bytes(signature))

    refused = asyncio.run(submit_with(forged=True))
    assert not refused.success
    assert "signature does not match" in refused.message
    assert asyncio.run(submit_with(forged=False)).success


def test_an_extrinsic_counts_once(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner = devnet.member(tmp_path, "miner")
    with devnet.client() as client:
        commit(client, miner, {"Raw1": "0x00"})
        block = devnet.request("chain_getBlock", [])["block"]
    with pytest.raises(RefusedError, match="outdated"):
        devnet.request("author_submitExtrinsic", block["extrinsics"])


def test_nonsense_is_answered_with_an_error(devnet: RunningDevnet) -> None:
    for method, params in (
        ("state_unknown", []),
        ("chain_getBlockHash", [{}]),
        ("chain_getBlockHash", [1, 2, 3]),
        ("chain_getBlockHash", [2**80]),
        ("state_getKeysPaged", ["0x", -1]),
        ("state_getStorageAt", [5]),
        ("author_submitExtrinsic", ["0x00"]),
        ("author_submitExtrinsic", ["no hex"]),
        ("state_call", ["SubnetInfoRuntimeApi_get_metagraph", "0x", None]),
        ("chain_getBlock", ["0x" + "00" * 32]),
        ("dev_advance", {"blocks": 0}),
        ("dev_fund", {"account": "nobody", "tao": 1}),
        ("dev_rule", {"netuid": NETUID, "rule": "Tempo", "value": 65_536}),
        ("dev_rule", {"netuid": NETUID, "rule": "Keys", "value": 0}),
        ("dev_advance", [1]),
    ):
        with pytest.raises(RefusedError):
            devnet.request(method, params)
    assert devnet.control("advance") > 0
