"""The types that our part of the runtime uses, with the numbers of the real one.

Taken from the metadata of subtensor spec 424; ``TimelockRevealFailed`` is of later runtimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from devnet_registry import Enum, Named, Struct

MAX_RAW: Final = 128
MAX_BIG_RAW: Final = 512
MAX_SEALED: Final = 1_024
"""Bytes of one ``Raw``, ``BigRaw`` and ``TimelockEncrypted`` field."""

BLAKE2_256, TIMELOCK_ENCRYPTED, BIG_RAW, TIMELOCK_REVEAL_FAILED = 130, 134, 136, 137
"""Variants of ``Data``; Raw0 to Raw128 are 1 to 129, and four hashes begin at 130."""

_DATA: Final = Enum(
    {
        "None": (0, ()),
        **{f"Raw{size}": (1 + size, (f"[u8; {size}]",)) for size in range(MAX_RAW + 1)},
        "BlakeTwo256": (BLAKE2_256, ("[u8; 32]",)),
        "Sha256": (131, ("[u8; 32]",)),
        "Keccak256": (132, ("[u8; 32]",)),
        "ShaThree256": (133, ("[u8; 32]",)),
        "TimelockEncrypted": (
            TIMELOCK_ENCRYPTED,
            {"encrypted": "BoundedBytes", "reveal_round": "u64"},
        ),
        "ResetBondsFlag": (135, ()),
        "BigRaw": (BIG_RAW, ("BoundedBytes",)),
        "TimelockRevealFailed": (TIMELOCK_REVEAL_FAILED, {"reveal_round": "u64"}),
    },
    "pallet_commitments::types::Data",
)

METAGRAPH: Final = {
    "netuid": "Compact<u16>",
    "name": "Vec<Compact<u8>>",
    "symbol": "Vec<Compact<u8>>",
    "identity": "Option<u8>",  # of another type, and never there
    "network_registered_at": "Compact<u64>",
    "owner_hotkey": "AccountId",
    "owner_coldkey": "AccountId",
    "block": "Compact<u64>",
    "tempo": "Compact<u16>",
    "last_step": "Compact<u64>",
    "blocks_since_last_step": "Compact<u64>",
    "subnet_emission": "Compact<u64>",
    "alpha_in": "Compact<u64>",
    "alpha_out": "Compact<u64>",
    "tao_in": "Compact<u64>",
    "alpha_out_emission": "Compact<u64>",
    "alpha_in_emission": "Compact<u64>",
    "tao_in_emission": "Compact<u64>",
    "pending_alpha_emission": "Compact<u64>",
    "pending_root_emission": "Compact<u64>",
    "subnet_volume": "Compact<u128>",
    "moving_price": "FixedI128",
    "rho": "Compact<u16>",
    "kappa": "Compact<u16>",
    "min_allowed_weights": "Compact<u16>",
    "max_weights_limit": "Compact<u16>",
    "weights_version": "Compact<u64>",
    "weights_rate_limit": "Compact<u64>",
    "activity_cutoff": "Compact<u64>",
    "max_validators": "Compact<u16>",
    "num_uids": "Compact<u16>",
    "max_uids": "Compact<u16>",
    "burn": "Compact<u64>",
    "difficulty": "Compact<u64>",
    "registration_allowed": "bool",
    "pow_registration_allowed": "bool",
    "immunity_period": "Compact<u16>",
    "min_difficulty": "Compact<u64>",
    "max_difficulty": "Compact<u64>",
    "min_burn": "Compact<u64>",
    "max_burn": "Compact<u64>",
    "adjustment_alpha": "Compact<u64>",
    "adjustment_interval": "Compact<u16>",
    "target_regs_per_interval": "Compact<u16>",
    "max_regs_per_block": "Compact<u16>",
    "serving_rate_limit": "Compact<u64>",
    "commit_reveal_weights_enabled": "bool",
    "commit_reveal_period": "Compact<u64>",
    "liquid_alpha_enabled": "bool",
    "alpha_high": "Compact<u16>",
    "alpha_low": "Compact<u16>",
    "bonds_moving_avg": "Compact<u64>",
    "hotkeys": "Vec<AccountId>",
    "coldkeys": "Vec<AccountId>",
    "identities": "Vec<Option<u8>>",  # of another type, and never there
    "axons": "Vec<AxonInfo>",
    "active": "Vec<bool>",
    "validator_permit": "Vec<bool>",
    "pruning_score": "Vec<Compact<u16>>",
    "last_update": "Vec<Compact<u64>>",
    "emission": "Vec<Compact<u64>>",
    "dividends": "Vec<Compact<u16>>",
    "incentives": "Vec<Compact<u16>>",
    "consensus": "Vec<Compact<u16>>",
    "trust": "Vec<Compact<u16>>",
    "rank": "Vec<Compact<u16>>",
    "block_at_registration": "Vec<Compact<u64>>",
    "alpha_stake": "Vec<Compact<u64>>",
    "tao_stake": "Vec<Compact<u64>>",
    "total_stake": "Vec<Compact<u64>>",
    "tao_dividends_per_hotkey": "Vec<(AccountId, Compact<u64>)>",
    "alpha_dividends_per_hotkey": "Vec<(AccountId, Compact<u64>)>",
}
"""The answer of get_metagraph, in the order of the real one."""

RECORDS_OF_NUMBERS: Final[Mapping[str, Mapping[str, str]]] = {
    "FixedI128": {"bits": "i128"},
    "AxonInfo": {
        "block": "u64",
        "version": "u32",
        "ip": "u128",
        "port": "u16",
        "ip_type": "u8",
        "protocol": "u8",
        "placeholder1": "u8",
        "placeholder2": "u8",
    },
}

NAMED: Final[Named] = {
    # Known to codecs by their paths.
    "AccountId": Struct(("[u8; 32]",), "sp_core::crypto::AccountId32"),
    "H256": Struct(("[u8; 32]",), "primitive_types::H256"),
    "Era": Enum({"Immortal": (0, ())}, "sp_runtime::generic::era::Era"),
    "MultiAddress": Enum({"Id": (0, ("AccountId",))}, "sp_runtime::multiaddress::MultiAddress"),
    "MultiSignature": Enum(
        {"Ed25519": (0, ("[u8; 64]",)), "Sr25519": (1, ("[u8; 64]",))},
        "sp_runtime::MultiSignature",
    ),
    "UncheckedExtrinsic": Struct(
        ("Vec<u8>",), "sp_runtime::generic::unchecked_extrinsic::UncheckedExtrinsic"
    ),
    "CheckMetadataHash": Struct({"mode": "CheckMetadataHashMode"}),
    "CheckMetadataHashMode": Enum({"Disabled": (0, ()), "Enabled": (1, ())}, "Mode"),
    # System
    "AccountInfo": Struct(
        {
            "nonce": "u32",
            "consumers": "u32",
            "providers": "u32",
            "sufficients": "u32",
            "data": "AccountData",
        },
        "frame_system::AccountInfo",
    ),
    "AccountData": Struct(
        {"free": "u64", "reserved": "u64", "frozen": "u64", "flags": "u128"},
        "pallet_balances::types::AccountData",
    ),
    "EventRecord": Struct(
        {"phase": "Phase", "event": "RuntimeEvent", "topics": "Vec<H256>"},
        "frame_system::EventRecord",
    ),
    "Phase": Enum(
        {"ApplyExtrinsic": (0, ("u32",)), "Finalization": (1, ()), "Initialization": (2, ())},
        "frame_system::Phase",
    ),
    "Weight": Struct(
        {"ref_time": "Compact<u64>", "proof_size": "Compact<u64>"},
        "sp_weights::weight_v2::Weight",
    ),
    "DispatchClass": Enum({"Normal": (0, ()), "Operational": (1, ()), "Mandatory": (2, ())}),
    "Pays": Enum({"Yes": (0, ()), "No": (1, ())}),
    "DispatchEventInfo": Struct({"weight": "Weight", "class": "DispatchClass", "pays_fee": "Pays"}),
    "ModuleError": Struct({"index": "u8", "error": "[u8; 4]"}, "sp_runtime::ModuleError"),
    "DispatchError": Enum(
        {"Other": (0, ()), "BadOrigin": (2, ()), "Module": (3, ("ModuleError",))},
        "sp_runtime::DispatchError",
    ),
    "RuntimeDispatchInfo": Struct(
        {"weight": "Weight", "class": "DispatchClass", "partial_fee": "u64"}
    ),
    "OpaqueMetadata": Struct(("Vec<u8>",), "sp_core::OpaqueMetadata"),
    # Commitments
    "BoundedBytes": Struct(("Vec<u8>",), "bounded_collections::bounded_vec::BoundedVec"),
    "Data": _DATA,
    "BoundedFields": Struct(("Vec<Data>",), "bounded_collections::bounded_vec::BoundedVec"),
    "CommitmentInfo": Struct(
        {"fields": "BoundedFields"}, "pallet_commitments::types::CommitmentInfo"
    ),
    "Registration": Struct({"deposit": "u64", "block": "u32", "info": "CommitmentInfo"}),
    "UsageTracker": Struct({"last_epoch": "u64", "used_space": "u64"}),
    # SubtensorModule
    "SubnetIdentityV3": Struct(
        dict.fromkeys(
            (
                "subnet_name",
                "github_repo",
                "subnet_contact",
                "subnet_url",
                "discord",
                "description",
                "logo_url",
                "additional",
            ),
            "Vec<u8>",
        )
    ),
    "SubnetPrice": Struct({"netuid": "u16", "price": "u64"}),
    "EpochConsensus": Enum({"Yuma": (0, ()), "Null": (1, ())}),
    **{name: Struct(fields) for name, fields in RECORDS_OF_NUMBERS.items()},
    "Metagraph": Struct(METAGRAPH),
}
