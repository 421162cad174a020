"""Weights on the rehearsal chain, set by the real SDK: in the clear and sealed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bittensor as bt
import pytest
from devnet_helpers import NETUID, RunningDevnet, new_wallet, running_devnet

RATE_LIMIT = 100
SET_WEIGHTS = """
import sys
import bittensor as bt
url, path, name, weights = sys.argv[1:]
wallet = bt.Wallet(name=name, hotkey="default", path=path)
with bt.Subtensor(url) as client:
    weights = dict(pair.split(":") for pair in weights.split(","))
    result = client.execute(bt.SetWeights(netuid=231, weights=weights), wallet)
print(result.success, result.data["reveal_round"])
"""


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[RunningDevnet]:
    with running_devnet(tmp_path / "devnet", "--manual", "--tempo", "10") as running:
        yield running


@pytest.fixture
def validator(devnet: RunningDevnet, tmp_path: Path) -> bt.Wallet:
    """Registered with stake as uid 0, with miners 1 and 2 beside it, and past the rate limit."""
    wallet = devnet.member(tmp_path, "validator", stake=1_000.0)
    for name in ("first", "second"):
        devnet.member(tmp_path, name)
    devnet.control("advance", blocks=RATE_LIMIT)
    return wallet


def set_weights(client: bt.Subtensor, wallet: bt.Wallet, **options: Any) -> Any:
    options = {"weights": {1: 3.0, 2: 1.0}, **options}
    return client.execute(bt.SetWeights(netuid=NETUID, **options), wallet)


def raw_weights(client: bt.Subtensor, wallet: bt.Wallet, **changes: Any) -> Any:
    """Without the SDK's own checks."""
    fields = {"netuid": NETUID, "mecid": 0, "dests": [1], "weights": [1], "version_key": 0}
    call = bt.calls.SubtensorModule.set_mechanism_weights(**{**fields, **changes})
    return client.submit_call(call, wallet, signer="hotkey")


def weights_of(client: bt.Subtensor, uid: int) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in client.query(("SubtensorModule", "Weights"), [NETUID, uid])]


def test_weights_are_read_back(devnet: RunningDevnet, validator: bt.Wallet) -> None:
    with devnet.client() as client:
        assert set_weights(client, validator).success
        assert weights_of(client, 0) == [(1, 65_535), (2, 21_845)]
        assert client.subnets.metagraph(NETUID).neuron(0).last_update == client.block


def test_the_rate_limit_holds_until_its_last_block(
    devnet: RunningDevnet, validator: bt.Wallet
) -> None:
    with devnet.client() as client:
        assert raw_weights(client, validator).success
        devnet.control("advance", blocks=RATE_LIMIT - 2)
        with pytest.raises(bt.ChainError, match="rate limit is 100 blocks") as caught:
            set_weights(client, validator)
        assert caught.value.code == bt.ErrorCode.RATE_LIMITED
        assert raw_weights(client, validator).error.name == "SettingWeightsTooFast"
        assert raw_weights(client, validator).success


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dests": [1, 2]}, "WeightVecNotEqualSize"),
        ({"dests": [1, 1], "weights": [1, 1]}, "DuplicateUids"),
        ({"dests": [9]}, "UidVecContainInvalidOne"),
        ({"mecid": 1}, "MechanismDoesNotExist"),
    ],
)
def test_wrong_weights_fail_with_the_chains_own_errors(
    devnet: RunningDevnet, validator: bt.Wallet, changes: dict[str, Any], error: str
) -> None:
    with devnet.client() as client:
        assert raw_weights(client, validator, **changes).error.name == error
        assert weights_of(client, 0) == []


@pytest.mark.parametrize(
    ("rule", "value", "error"),
    [
        ("WeightsVersionKey", 7, "IncorrectWeightVersionKey"),
        ("MinAllowedWeights", 2, "WeightVecLengthIsLow"),
        ("MaxWeightsLimit", 1_000, "MaxWeightExceeded"),
        ("CommitRevealWeightsEnabled", 1, "CommitRevealEnabled"),
    ],
)
def test_the_subnets_rules_hold(
    devnet: RunningDevnet, validator: bt.Wallet, rule: str, value: int, error: str
) -> None:
    devnet.rule(rule, value)
    with devnet.client() as client:
        assert raw_weights(client, validator).error.name == error


def test_too_few_weights_are_noticed_before_signing(
    devnet: RunningDevnet, validator: bt.Wallet
) -> None:
    devnet.rule("MinAllowedWeights", 3)
    with devnet.client() as client, pytest.raises(bt.ChainError, match="at least 3 weights"):
        set_weights(client, validator)


def test_only_validators_set_weights(devnet: RunningDevnet, tmp_path: Path) -> None:
    miner, stranger = devnet.member(tmp_path, "miner"), new_wallet(tmp_path, "stranger")
    devnet.member(tmp_path, "other")
    devnet.control("advance", blocks=RATE_LIMIT)
    with devnet.client() as client:
        assert raw_weights(client, miner).error.name == "NeuronNoValidatorPermit"
        assert raw_weights(client, stranger).error.name == "HotKeyNotRegisteredInSubNet"


@pytest.mark.skipif(sys.platform != "linux", reason="the sealing SDK is made on Linux only")
def test_sealed_weights_count_an_epoch_later(
    devnet: RunningDevnet, validator: bt.Wallet, tmp_path: Path
) -> None:
    devnet.rule("CommitRevealWeightsEnabled", 1)
    printed = devnet.run_sealing(SET_WEIGHTS, devnet.url, str(tmp_path), "validator", "1:1.0,2:0.5")
    assert printed.startswith("True ")
    with devnet.client() as client:
        assert weights_of(client, 0) == []
        commits = client.query(
            ("SubtensorModule", "TimelockedWeightCommits"), [NETUID, epoch(client)]
        )
        assert [entry[0] for entry in commits] == [validator.hotkey.ss58_address]
        devnet.control("advance", blocks=25, seconds=60)
        assert weights_of(client, 0) == [(1, 65_535), (2, 32_768)]


def test_weights_sealed_for_another_beacon_are_dropped(
    devnet: RunningDevnet, validator: bt.Wallet
) -> None:
    devnet.rule("CommitRevealWeightsEnabled", 1)
    with devnet.client() as client:
        assert set_weights(client, validator).success
        committed_in = epoch(client)
        devnet.control("advance", blocks=25, seconds=60)
        assert weights_of(client, 0) == []
        commits = client.query(
            ("SubtensorModule", "TimelockedWeightCommits"), [NETUID, committed_in]
        )
        assert commits == []


def epoch(client: bt.Subtensor) -> int:
    return int(client.query(("SubtensorModule", "SubnetEpochIndex"), [NETUID]))
