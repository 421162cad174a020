"""What the model queue records of a rehearsal chain, whatever miners and nodes do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import bittensor as bt
import pytest
from devnet_helpers import NETUID, RunningDevnet, commit, new_wallet, running_devnet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from subnet_helpers import Subnet, key, reference_of

from neurons.model_queue_api import minerboard
from neurons.model_queue_chain import ChainBehindError, OtherChainError
from neurons.model_queue_ledger import Ledger, SealState, State
from utilities.chain import Chain
from utilities.chain_errors import ChainUnreachableError

needs_sealing_sdk = pytest.mark.skipif(
    sys.platform != "linux", reason="the sealing SDK is made on Linux only"
)


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path_factory.mktemp("devnet")) as running:
        running.rule("Tempo", 2)
        yield running


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


@pytest.fixture
def subnet(devnet: RunningDevnet, ledger: Ledger, tmp_path: Path) -> Iterator[Subnet]:
    with Chain(devnet.url) as chain:
        # Past the first look, which takes the chain as it is.
        subnet = Subnet(devnet, chain, ledger, tmp_path)
        subnet.look()
        yield subnet


def test_a_commitment_is_recorded_once_with_its_block_and_hash(subnet: Subnet) -> None:
    miner = subnet.miner()
    block = subnet.commit(miner, reference_of(miner, revision="ab" * 20))
    now = subnet.look()
    subnet.look()
    [found] = [entry for entry in subnet.all() if entry.hotkey == key(miner)]
    assert (found.block, found.state, found.sealed_block) == (block, State.PENDING, None)
    assert found.text == reference_of(miner, revision="ab" * 20)
    assert found.block_hash == subnet.devnet.request("chain_getBlockHash", [block])
    [listed] = [row for row in minerboard(now, "tts") if row["hotkey"] == key(miner)]
    assert (listed["block"], listed["details"]["repository"]) == (block, "alice/voice")
    assert listed["details"]["coldkey"] == miner.coldkeypub.ss58_address


def test_what_was_overwritten_between_two_looks_is_recorded_too(subnet: Subnet) -> None:
    miner, other = subnet.miner(), subnet.miner("other")
    blocks = [subnet.commit(miner, reference_of(miner, name)) for name in ("a", "b", "c", "d")]
    aside = subnet.commit(other, reference_of(other))
    blocks.append(subnet.commit(miner, reference_of(miner, "e")))
    subnet.look()
    assert list(subnet.states(miner)) == blocks
    assert list(subnet.states(other)) == [aside]


def test_the_first_look_does_not_dig_up_the_past(subnet: Subnet, tmp_path: Path) -> None:
    miner = subnet.miner()
    subnet.commit(miner, reference_of(miner, "old"))
    newest = subnet.commit(miner, reference_of(miner, "new"))
    with closing(Ledger(tmp_path / "fresh.sqlite3")) as ledger:
        fresh = Subnet(subnet.devnet, subnet.chain, ledger, tmp_path)
        fresh.look()
        assert list(fresh.states(miner)) == [newest]


def test_a_hotkey_that_loses_its_place_is_not_submitted_until_it_is_back(subnet: Subnet) -> None:
    miner, successor = subnet.miner(), new_wallet(subnet.wallets, "successor")
    block = subnet.commit(miner, reference_of(miner))
    subnet.look()
    assert subnet.states(miner) == {block: State.PENDING}
    replaced = {"hotkey": key(miner), "by": key(successor)}
    coldkey = successor.coldkeypub.ss58_address
    subnet.devnet.control("replace", netuid=NETUID, coldkey=coldkey, **replaced)
    now = subnet.look()
    assert subnet.states(miner) == {block: State.DEREGISTERED}
    assert key(miner) not in {row["hotkey"] for row in minerboard(now, "tts")}
    subnet.devnet.control(
        "register", netuid=NETUID, hotkey=key(miner), coldkey=miner.coldkeypub.ss58_address
    )
    subnet.look()
    assert subnet.states(miner) == {block: State.PENDING}


@needs_sealing_sdk
def test_a_reveal_counts_from_the_seal_that_was_opened(subnet: Subnet) -> None:
    miner = subnet.miner()
    sealed_at = subnet.seal(miner, reference_of(miner))
    now = subnet.look()
    [seal] = subnet.ledger.seals(SealState.SEALED)
    assert (seal.hotkey, seal.block, len(seal.digest)) == (key(miner), sealed_at, 64)
    assert subnet.states(miner) == {}
    [listed] = [row for row in minerboard(now, "tts") if row["hotkey"] == key(miner)]
    assert (listed["hash"], listed["details"]["commitment"]) == (None, "sealed")
    subnet.devnet.control("advance", seconds=3_700, blocks=3)
    subnet.look()
    [found] = [entry for entry in subnet.all() if entry.hotkey == key(miner)]
    assert (found.text, found.sealed_block) == (reference_of(miner), sealed_at)
    assert found.block == sealed_at + 1
    assert [entry.block for entry in subnet.ledger.seals(SealState.OPENED)] == [sealed_at]
    assert subnet.ledger.seals(SealState.SEALED) == ()


@needs_sealing_sdk
def test_a_seal_does_not_lend_its_age_to_the_one_that_replaced_it(subnet: Subnet) -> None:
    miner = subnet.miner()
    subnet.seal(miner, "nothing, but early", hours=2)
    subnet.look()
    later = subnet.seal(miner, reference_of(miner), hours=1)
    subnet.devnet.control("advance", seconds=3_700)
    subnet.look()
    [found] = [entry for entry in subnet.all() if entry.hotkey == key(miner)]
    assert found.sealed_block == later
    states = {state: subnet.ledger.seals(state) for state in SealState}
    assert [seal.block for seal in states[SealState.OPENED]] == [later]
    assert len(states[SealState.REPLACED]) == 1


@needs_sealing_sdk
def test_a_seal_made_and_opened_between_two_looks_is_recorded(subnet: Subnet) -> None:
    miner = subnet.miner()
    sealed_at = subnet.seal(miner, reference_of(miner, "sealed"))
    subnet.devnet.control("advance", seconds=3_700)
    plain_at = subnet.commit(miner, reference_of(miner, "plain"))
    subnet.look()
    sealed, plain = (entry for entry in subnet.all() if entry.hotkey == key(miner))
    assert (sealed.sealed_block, sealed.state) == (sealed_at, State.PENDING)
    assert (plain.block, plain.sealed_block) == (plain_at, None)


def test_a_reveal_that_fails_is_recorded_and_submits_nothing(subnet: Subnet) -> None:
    miner = subnet.miner()
    with subnet.devnet.client() as client:
        ahead = client.time.timestamp() + 3_600
        sealed = bt.timelock.encrypt("for the real beacon", reveal_at=ahead)
        field = {"encrypted": "0x" + sealed.encrypted.hex(), "reveal_round": sealed.reveal_round}
        assert commit(client, miner, {"TimelockEncrypted": field}).success
    subnet.look()
    subnet.devnet.control("advance", seconds=3_700)
    subnet.look()
    assert [seal.hotkey for seal in subnet.ledger.seals(SealState.FAILED)] == [key(miner)]
    assert subnet.states(miner) == {}
    block = subnet.commit(miner, reference_of(miner))
    subnet.look()
    assert subnet.states(miner) == {block: State.PENDING}


MALFORMED = [
    pytest.param("", id="empty"),
    pytest.param("hello", id="a word"),
    pytest.param("alice:voice:default", id="too few fields"),
    pytest.param(":voice:default:{hotkey}:1:tts", id="an empty field"),
    pytest.param("alice:voice:default:{hotkey}:1:tts", id="a wrong hash"),
    pytest.param("alice:voice:chatml:{hotkey}:1:tts", id="an unknown template"),
    pytest.param("alice:voice:default:{hotkey}:1:chess", id="an unknown competition"),
    pytest.param("alice:../etc:default:{hotkey}:1:tts", id="no repository"),
    pytest.param(
        "alice:voice:default:5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY:1:tts",
        id="another's hotkey",
    ),
    pytest.param("{good}:main:" + "cd" * 32, id="a branch for a revision"),
    pytest.param("{good}:" + "ab" * 20 + ":short", id="no digest"),
    pytest.param("{good}:" + "x" * 300, id="too long"),
    pytest.param("\x00\x1b[31m\n" * 8, id="control characters"),
    pytest.param("0x" + "fe" * 40, id="digits of bytes"),
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_commitment_is_recorded_with_its_reason(subnet: Subnet, text: str) -> None:
    miner = subnet.miner()
    text = text.format(hotkey=key(miner), good=reference_of(miner)) if "{" in text else text
    with subnet.devnet.client() as client:
        variant = f"Raw{len(text.encode())}" if len(text.encode()) <= 128 else "BigRaw"
        assert commit(client, miner, {variant: "0x" + text.encode().hex()}).success
    subnet.look()
    now = subnet.look()
    assert list(subnet.states(miner).values()) == [State.MALFORMED]
    [found] = [entry for entry in subnet.all() if entry.hotkey == key(miner)]
    assert found.reason
    [listed] = [row for row in minerboard(now, "tts") if row["hotkey"] == key(miner)]
    assert found.reason.startswith(listed["details"]["problem"])


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([], id="none"),
        pytest.param(["None"], id="an empty one"),
        pytest.param(["ResetBondsFlag"], id="a flag"),
        pytest.param([{"Sha256": "0x" + "ab" * 32}], id="a hash"),
        pytest.param([{"Raw1": "0x61"}, {"Raw0": "0x"}, {"Keccak256": "0x" + "0" * 64}], id="more"),
        pytest.param(
            [{"TimelockEncrypted": {"encrypted": "0x", "reveal_round": 2**64 - 1}}] * 3, id="seals"
        ),
    ],
)
def test_fields_that_nobody_commits_disturb_nobody(subnet: Subnet, fields: list[object]) -> None:
    miner = subnet.miner()
    with subnet.devnet.client() as client:
        assert commit(client, miner, *fields).success
    now = subnet.look()
    assert State.PENDING not in subnet.states(miner).values()
    assert key(miner) in {row["hotkey"] for row in minerboard(now, "tts")}


@given(data=st.binary(max_size=128) | st.text(max_size=32).map(str.encode))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_bytes_are_committed_the_queue_goes_on(subnet: Subnet, data: bytes) -> None:
    miner = subnet.miner()
    with subnet.devnet.client() as client:
        assert commit(client, miner, {f"Raw{len(data)}": "0x" + data.hex()}).success
    subnet.look()
    assert set(subnet.states(miner).values()) <= {State.MALFORMED}
    assert State.PENDING not in subnet.states(miner).values()


def test_a_restarted_node_is_taken_up_where_it_was(ledger: Ledger, tmp_path: Path) -> None:
    with running_devnet(tmp_path / "chain") as devnet:
        port = devnet.url.rsplit(":", 1)[1]
        subnet = Subnet(devnet, Chain(devnet.url), ledger, tmp_path)
        miner = subnet.miner()
        first = subnet.commit(miner, reference_of(miner, "a"))
        subnet.look()
        second = subnet.commit(miner, reference_of(miner, "b"))
        assert devnet.stop() == 0
        with pytest.raises(ChainUnreachableError):
            subnet.look()
        assert list(subnet.states(miner)) == [first]
    with running_devnet(tmp_path / "chain", "--manual", "--port", port):
        third = subnet.commit(miner, reference_of(miner, "c"))
        subnet.look()
        assert list(subnet.states(miner)) == [first, second, third]
        subnet.chain.close()


def test_a_node_behind_is_waited_for_and_another_chain_refused(
    ledger: Ledger, tmp_path: Path
) -> None:
    with running_devnet(tmp_path / "one") as one:
        subnet = Subnet(one, Chain(one.url), ledger, tmp_path)
        one.control("advance", blocks=5)
        subnet.look()
        subnet.chain.close()
    with running_devnet(tmp_path / "two") as two, Chain(two.url) as chain:
        elsewhere = Subnet(two, chain, ledger, tmp_path)
        with pytest.raises(ChainBehindError, match="block 0, and block 5 was seen"):
            elsewhere.look()
        two.control("advance", blocks=6)
        with pytest.raises(OtherChainError, match="block 5 is 0x") as caught:
            elsewhere.look()
        assert "another VAR_DIR" in caught.value.remedy
        assert not caught.value.transient
