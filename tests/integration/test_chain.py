"""The chain client of the neurons against a rehearsal chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from devnet_helpers import NETUID, RunningDevnet, new_wallet, running_devnet

from utilities.chain import MAX_COMMITMENT_BYTES, Chain, SubnetRules
from utilities.chain_errors import (
    ChainRefusedError,
    ChainUnreachableError,
    CommitmentTooLongError,
    NotRegisteredError,
    RateLimitedError,
    SubnetMissingError,
)


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path_factory.mktemp("devnet")) as running:
        running.rule("Tempo", 1_000)
        yield running


@pytest.fixture(scope="module")
def chain(devnet: RunningDevnet) -> Iterator[Chain]:
    with Chain(devnet.url) as chain:
        yield chain


def test_the_subnets_rules_are_read(devnet: RunningDevnet, chain: Chain) -> None:
    devnet.rule("ActivityCutoff", 777)
    rules = chain.metagraph(NETUID).rules
    assert rules == SubnetRules(
        tempo=1_000, activity_cutoff=777, weights_rate_limit=100, weights_version=0
    )


def test_neurons_are_read(devnet: RunningDevnet, chain: Chain, tmp_path: Path) -> None:
    validator = devnet.member(tmp_path, "validator", stake=5.0)
    neuron = chain.metagraph(NETUID).neurons[-1]
    assert (neuron.hotkey, neuron.stake) == (validator.hotkey.ss58_address, 5.0)
    assert neuron.validator_permit
    assert neuron.registered_at == chain.metagraph(NETUID).block == chain.block()
    assert len(chain.metagraph(NETUID, block=neuron.registered_at - 1).neurons) == neuron.uid
    with pytest.raises(SubnetMissingError, match="no subnet 9"):
        chain.metagraph(9)


@pytest.mark.parametrize(
    "text", ["a", "x" * 128, "x" * 129, "é" * 256, "0x" + "ab" * 100], ids=lambda text: text[:3]
)
def test_texts_come_back_as_they_were_committed(
    devnet: RunningDevnet, chain: Chain, tmp_path: Path, text: str
) -> None:
    miner = devnet.member(tmp_path, "miner")
    receipt = chain.commit(NETUID, text, miner)
    [newest] = chain.commitments(NETUID)[-1:]
    assert (newest.hotkey, newest.text) == (miner.hotkey.ss58_address, text)
    assert (newest.status, newest.block) == ("plain", receipt.block)
    assert newest not in chain.commitments(NETUID, block=receipt.block - 1)


def test_sealed_texts_are_seen_but_not_read(
    devnet: RunningDevnet, chain: Chain, tmp_path: Path
) -> None:
    miner = devnet.member(tmp_path, "miner")
    receipt = chain.commit_sealed(NETUID, "later", miner, reveal_in="1h")
    [newest] = chain.commitments(NETUID)[-1:]
    assert (newest.status, newest.text, newest.block) == ("sealed", None, receipt.block)
    assert newest.reveal_round == receipt.reveal_round
    assert newest.sealed_digest is not None
    assert newest.reveals == ()
    chain.commit_sealed(NETUID, "later", miner, reveal_in="1h")
    [again] = chain.commitments(NETUID)[-1:]
    assert again.sealed_digest not in {None, newest.sealed_digest}
    assert chain.finalized_block() == again.block


def test_impossible_commitments_are_typed(
    devnet: RunningDevnet, chain: Chain, tmp_path: Path
) -> None:
    with pytest.raises(CommitmentTooLongError):
        chain.commit(NETUID, "x" * (MAX_COMMITMENT_BYTES + 1), new_wallet(tmp_path, "anyone"))
    with pytest.raises(NotRegisteredError):
        chain.commit(NETUID, "x", new_wallet(tmp_path, "stranger"))
    miner = devnet.member(tmp_path, "miner")
    for _ in range(6):
        chain.commit(NETUID, "x" * MAX_COMMITMENT_BYTES, miner)
    with pytest.raises(RateLimitedError, match="SpaceLimitExceeded"):
        chain.commit(NETUID, "x", miner)


def test_weights_are_set_or_the_reason_is_typed(
    devnet: RunningDevnet, chain: Chain, tmp_path: Path
) -> None:
    validator = devnet.member(tmp_path, "judge", stake=1.0)
    with pytest.raises(RateLimitedError, match="Retry in"):
        chain.set_weights(NETUID, {0: 1.0}, validator)
    devnet.control("advance", blocks=100)
    devnet.rule("WeightsVersionKey", 3)
    with pytest.raises(ChainRefusedError):
        chain.set_weights(NETUID, {0: 1.0}, validator)
    with pytest.raises(ChainRefusedError, match="nothing to set"):
        chain.set_weights(NETUID, {0: 0.0}, validator)
    with pytest.raises(NotRegisteredError):
        chain.set_weights(NETUID, {0: 1.0}, new_wallet(tmp_path, "stranger"))
    receipt = chain.set_weights(NETUID, {0: 1.0}, validator, version_key=3)
    assert receipt.block == chain.block()
    assert receipt.reveal_round is None
    devnet.control("advance", blocks=100)
    devnet.rule("CommitRevealWeightsEnabled", 1)
    assert chain.set_weights(NETUID, {0: 1.0}, validator).reveal_round is not None


def test_a_chain_that_is_gone_is_unreachable_and_then_back(tmp_path: Path) -> None:
    with running_devnet(tmp_path / "chain") as devnet:
        chain = Chain(devnet.url)
        port = devnet.url.rsplit(":", 1)[1]
        assert chain.block() == 0
        assert devnet.stop() == 0
    with pytest.raises(ChainUnreachableError):
        chain.block()
    with running_devnet(tmp_path / "chain", "--manual", "--port", port):
        assert chain.block() == 0
    chain.close()
