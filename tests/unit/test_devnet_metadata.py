"""The rehearsal chain's metadata against frozen bytes, and against the real chain's where it is."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import bittensor as bt
import bittensor_core
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
REAL_METADATA = ROOT.parent / "shared" / "data" / "subtensor-metadata-v15.bin.gz"

from devnet_metadata import encode_metadata  # noqa: E402  # a script's sibling
from devnet_pallets import COMMITMENTS, SPEC_VERSION, SUBTENSOR, pallets  # noqa: E402
from devnet_types import METAGRAPH  # noqa: E402

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
ALICE_KEY = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
SEALED = {"TimelockEncrypted": {"encrypted": "0x0102", "reveal_round": 5}}

FROZEN = {
    "a short commitment": (
        bt.calls.Commitments.set_commitment(
            netuid=231, info={"fields": [{"Raw5": "0x68656c6c6f"}]}
        ),
        "1200e700040668656c6c6f",
    ),
    "an empty commitment": (
        bt.calls.Commitments.set_commitment(netuid=231, info={"fields": []}),
        "1200e70000",
    ),
    "the longest raw field": (
        bt.calls.Commitments.set_commitment(
            netuid=231, info={"fields": [{"Raw128": "0x" + "ab" * 128}]}
        ),
        "1200e7000481" + "ab" * 128,
    ),
    "a long commitment": (
        bt.calls.Commitments.set_commitment(
            netuid=231, info={"fields": [{"BigRaw": "0x" + "cd" * 300}]}
        ),
        "1200e7000488b104" + "cd" * 300,
    ),
    "a sealed commitment": (
        bt.calls.Commitments.set_commitment(netuid=231, info={"fields": [SEALED]}),
        "1200e700048608010205000000" + "00000000",
    ),
    "weights": (
        bt.calls.SubtensorModule.set_mechanism_weights(
            netuid=231, mecid=0, dests=[1, 2], weights=[3, 65_535], version_key=5
        ),
        "0777e700000801000200080300ffff0500000000000000",
    ),
    "sealed weights": (
        bt.calls.SubtensorModule.commit_timelocked_mechanism_weights(
            netuid=231, mecid=1, commit=b"abc", reveal_round=3, commit_reveal_version=4
        ),
        "0776e700010c61626303000000000000000400",
    ),
    "a registration": (
        bt.calls.SubtensorModule.burned_register(netuid=231, hotkey=ALICE),
        "0707e700" + ALICE_KEY,
    ),
}


@pytest.fixture(scope="module")
def ours() -> Any:
    return bittensor_core.Runtime(encode_metadata(pallets(12_000)), SPEC_VERSION, 1)


@pytest.fixture(scope="module")
def real() -> Any:
    if not REAL_METADATA.exists():
        pytest.skip("the real chain's metadata is not here")
    return bittensor_core.Runtime(gzip.decompress(REAL_METADATA.read_bytes()), SPEC_VERSION, 1)


@pytest.mark.parametrize("name", FROZEN)
def test_calls_have_their_frozen_bytes(ours: Any, name: str) -> None:
    call, frozen = FROZEN[name]
    assert bytes(ours.compose_call(*call)).hex() == frozen


@pytest.mark.parametrize("name", FROZEN)
def test_calls_have_the_bytes_of_the_real_chain(ours: Any, real: Any, name: str) -> None:
    call, _ = FROZEN[name]
    assert bytes(ours.compose_call(*call)) == bytes(real.compose_call(*call))


def test_every_call_is_among_the_frozen() -> None:
    offered = {(p.name, call) for p in (SUBTENSOR, COMMITMENTS) for call in p.calls}
    assert {(call[0], call[1]) for call, _ in FROZEN.values()} == offered


def test_storage_has_the_keys_and_defaults_of_the_real_chain(ours: Any, real: Any) -> None:
    for pallet in pallets(12_000):
        for item in pallet.storage:
            here = ours.storage_entry(pallet.name, item.name)
            there = real.storage_entry(pallet.name, item.name)
            assert (item.name, here.param_hashers, here.modifier, bytes(here.default_bytes)) == (
                item.name,
                there.param_hashers,
                there.modifier,
                bytes(there.default_bytes),
            )


def test_errors_have_the_numbers_of_the_real_chain(ours: Any, real: Any) -> None:
    later = {"TimelockRevealFailedNotAllowed"}
    for pallet in (SUBTENSOR, COMMITMENTS):
        for name, index in pallet.errors.items():
            assert ours.module_error(pallet.index, index)[0] == name
            if name not in later:
                assert real.module_error(pallet.index, index)[0] == name


def test_what_is_signed_is_what_the_real_chain_signs(ours: Any, real: Any) -> None:
    parts = {
        "era": {"period": 128, "current": 1_000},
        "nonce": 7,
        "tip": 0,
        "tip_asset_id": None,
        "genesis_hash": bytes(range(32)),
        "era_block_hash": bytes(32),
    }
    assert ours.signature_payload_parts(**parts) == real.signature_payload_parts(**parts)
    assert ours.signed_extension_identifiers() == real.signed_extension_identifiers()


def test_the_metagraph_has_the_fields_of_the_real_chain(real: Any) -> None:
    types = {entry["id"]: entry["type"] for entry in json.loads(real.registry_json())["types"]}
    output = real.runtime_api_map()["SubnetInfoRuntimeApi"]["get_metagraph"]["output"]
    option = types[int(output.removeprefix("scale_info::"))]
    some = option["def"]["variant"]["variants"][1]
    fields = types[some["fields"][0]["type"]]["def"]["composite"]["fields"]
    assert [field["name"] for field in fields] == list(METAGRAPH)
