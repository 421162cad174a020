"""The pallets, calls, storage, errors and runtime APIs of the rehearsal chain, as one table.

Numbers and types are those of subtensor spec 424, so a call has the same bytes here as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SPEC_NAME: Final = "node-subtensor"
SPEC_VERSION: Final = 424
TRANSACTION_VERSION: Final = 1

NETUID: Final = (("Identity", "u16"),)
UID: Final = (("Identity", "u16"), ("Identity", "u16"))
HOTKEY: Final = (("Blake2_128Concat", "AccountId"),)
MEMBER: Final = (("Identity", "u16"), ("Blake2_128Concat", "AccountId"))
COMMITTER: Final = (("Identity", "u16"), ("Twox64Concat", "AccountId"))


@dataclass(frozen=True)
class Item:
    """One storage item. Without ``default`` (encoded) an absent value is None."""

    name: str
    value: str
    keys: tuple[tuple[str, str], ...] = ()
    default: bytes | None = None


@dataclass(frozen=True)
class Pallet:
    """Variants of calls, events and errors have the real indices."""

    name: str
    index: int
    storage: tuple[Item, ...] = ()
    calls: Mapping[str, tuple[int, Mapping[str, str]]] = field(default_factory=dict)
    events: Mapping[str, tuple[int, Mapping[str, str] | tuple[str, ...]]] = field(
        default_factory=dict
    )
    errors: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


NO: Final = b"\x00"
YES: Final = b"\x01"
EMPTY: Final = b"\x00"
MAX_FIELDS: Final = 3
MAX_SPACE: Final = 3_100
"""Bytes that a hotkey may commit per epoch."""

SYSTEM: Final = Pallet(
    "System",
    0,
    storage=(
        Item("Account", "AccountInfo", HOTKEY, default=bytes(55) + b"\x80"),
        Item("Number", "u32", default=bytes(4)),
        Item("Events", "Vec<EventRecord>", default=EMPTY),
    ),
    events={
        "ExtrinsicSuccess": (0, {"dispatch_info": "DispatchEventInfo"}),
        "ExtrinsicFailed": (
            1,
            {"dispatch_error": "DispatchError", "dispatch_info": "DispatchEventInfo"},
        ),
    },
)

SUBTENSOR: Final = Pallet(
    "SubtensorModule",
    7,
    storage=(
        Item("NetworksAdded", "bool", NETUID, default=NO),
        Item("NetworkRegisteredAt", "u64", NETUID, default=_u64(0)),
        Item("TokenSymbol", "Vec<u8>", NETUID, default=b"\x10" + "𝜏".encode()),
        Item("Tempo", "u16", NETUID, default=_u16(360)),
        Item("Burn", "u64", NETUID, default=_u64(100_000_000)),
        Item("SubnetworkN", "u16", NETUID, default=_u16(0)),
        Item("MaxAllowedUids", "u16", NETUID, default=_u16(256)),
        Item("MinAllowedWeights", "u16", NETUID, default=_u16(1_024)),
        Item("MaxWeightsLimit", "u16", NETUID, default=_u16(65_535)),
        Item("WeightsSetRateLimit", "u64", NETUID, default=_u64(100)),
        Item("WeightsVersionKey", "u64", NETUID, default=_u64(0)),
        Item("ActivityCutoff", "u16", NETUID, default=_u16(5_000)),
        Item("CommitRevealWeightsEnabled", "bool", NETUID, default=YES),
        Item("RevealPeriodEpochs", "u64", (("Twox64Concat", "u16"),), default=_u64(1)),
        Item("SubnetEpochConsensus", "EpochConsensus", NETUID, default=b"\x00"),
        Item("MechanismCountCurrent", "u8", (("Twox64Concat", "u16"),), default=b"\x01"),
        # Always empty here; clients that list subnets ask for them.
        Item("SubnetIdentitiesV3", "SubnetIdentityV3", (("Blake2_128Concat", "u16"),)),
        Item("SubnetEmaTaoFlow", "(u64, FixedI128)", NETUID),
        Item("SubnetTaoInEmission", "u64", NETUID, default=_u64(0)),
        Item("StakeThreshold", "u64", default=_u64(0)),
        Item("LastEpochBlock", "u64", NETUID, default=_u64(0)),
        Item("PendingEpochAt", "u64", NETUID, default=_u64(0)),
        Item("SubnetEpochIndex", "u64", NETUID, default=_u64(0)),
        Item("BlocksSinceLastStep", "u64", NETUID, default=_u64(0)),
        Item("Uids", "u16", MEMBER),
        Item("Keys", "AccountId", UID, default=bytes(32)),
        Item("Owner", "AccountId", HOTKEY, default=bytes(32)),
        Item("BlockAtRegistration", "u64", UID, default=_u64(0)),
        Item("LastUpdate", "Vec<u64>", NETUID, default=EMPTY),
        Item("ValidatorPermit", "Vec<bool>", NETUID, default=EMPTY),
        Item(
            "TotalHotkeyAlpha",
            "u64",
            (("Blake2_128Concat", "AccountId"), ("Identity", "u16")),
            default=_u64(0),
        ),
        Item("Weights", "Vec<(u16, u16)>", UID, default=EMPTY),
        Item(
            "TimelockedWeightCommits",
            "Vec<(AccountId, u64, BoundedBytes, u64)>",
            (("Twox64Concat", "u16"), ("Twox64Concat", "u64")),
            default=EMPTY,
        ),
    ),
    calls={
        "burned_register": (7, {"netuid": "u16", "hotkey": "AccountId"}),
        "commit_timelocked_mechanism_weights": (
            118,
            {
                "netuid": "u16",
                "mecid": "u8",
                "commit": "BoundedBytes",
                "reveal_round": "u64",
                "commit_reveal_version": "u16",
            },
        ),
        "set_mechanism_weights": (
            119,
            {
                "netuid": "u16",
                "mecid": "u8",
                "dests": "Vec<u16>",
                "weights": "Vec<u16>",
                "version_key": "u64",
            },
        ),
    },
    events={
        "WeightsSet": (5, ("u16", "u16")),
        "NeuronRegistered": (6, ("u16", "u16", "AccountId")),
        "TimelockedWeightsCommitted": (107, ("AccountId", "u16", "H256", "u64")),
        "TimelockedWeightsRevealed": (108, ("u16", "AccountId")),
    },
    errors={
        "HotKeyNotRegisteredInSubNet": 4,
        "NonAssociatedColdKey": 7,
        "NotEnoughStakeToSetWeights": 10,
        "NotEnoughBalanceToStake": 12,
        "NeuronNoValidatorPermit": 15,
        "WeightVecNotEqualSize": 16,
        "DuplicateUids": 17,
        "UidVecContainInvalidOne": 18,
        "WeightVecLengthIsLow": 19,
        "HotKeyAlreadyRegisteredInSubNet": 21,
        "MaxWeightExceeded": 27,
        "SettingWeightsTooFast": 29,
        "IncorrectWeightVersionKey": 30,
        "NoNeuronIdAvailable": 48,
        "CommitRevealEnabled": 53,
        "CommitRevealDisabled": 54,
        "MechanismDoesNotExist": 74,
        "SubnetNotExists": 76,
        "TooManyUnrevealedCommits": 77,
        "CommittingWeightsTooFast": 81,
        "IncorrectCommitRevealVersion": 110,
        "InvalidRevealRound": 111,
    },
)

COMMITMENTS: Final = Pallet(
    "Commitments",
    18,
    storage=(
        Item("CommitmentOf", "Registration", COMMITTER),
        Item("LastCommitment", "u32", COMMITTER),
        Item("RevealedCommitments", "Vec<(Vec<u8>, u64)>", COMMITTER),
        Item("UsedSpaceOf", "UsageTracker", COMMITTER),
        Item("TimelockedIndex", "Vec<(u16, AccountId)>", default=EMPTY),
        Item("MaxSpace", "u32", default=MAX_SPACE.to_bytes(4, "little")),
    ),
    calls={"set_commitment": (0, {"netuid": "u16", "info": "CommitmentInfo"})},
    events={
        "Commitment": (0, {"netuid": "u16", "who": "AccountId"}),
        "TimelockCommitment": (1, {"netuid": "u16", "who": "AccountId", "reveal_round": "u64"}),
        "CommitmentRevealed": (2, {"netuid": "u16", "who": "AccountId"}),
    },
    errors={
        "TooManyFieldsInCommitmentInfo": 0,
        "AccountNotAllowedCommit": 1,
        "SpaceLimitExceeded": 2,
        "TimelockRevealFailedNotAllowed": 4,
    },
    constants={
        "MaxFields": ("u32", MAX_FIELDS.to_bytes(4, "little")),
        "InitialDeposit": ("u64", _u64(0)),
        "FieldDeposit": ("u64", _u64(0)),
    },
)


def pallets(block_millis: int) -> tuple[Pallet, ...]:
    """All pallets of a chain whose blocks are ``block_millis`` apart."""
    return (
        SYSTEM,
        Pallet("Timestamp", 2, storage=(Item("Now", "u64", default=_u64(0)),)),
        Pallet("Aura", 3, constants={"SlotDuration": ("u64", _u64(block_millis))}),
        Pallet("Balances", 5, constants={"ExistentialDeposit": ("u64", _u64(500))}),
        SUBTENSOR,
        COMMITMENTS,
    )


RUNTIME_APIS: Final[Mapping[str, Mapping[str, tuple[Mapping[str, str], str]]]] = {
    "Metadata": {"metadata_at_version": ({"version": "u32"}, "Option<OpaqueMetadata>")},
    "TransactionPaymentApi": {
        "query_info": ({"uxt": "UncheckedExtrinsic", "len": "u32"}, "RuntimeDispatchInfo")
    },
    "SwapRuntimeApi": {"current_alpha_price_all": ({}, "Vec<SubnetPrice>")},
    "SubnetInfoRuntimeApi": {"get_metagraph": ({"netuid": "u16"}, "Option<Metagraph>")},
}

SIGNED_EXTENSIONS: Final = (
    # identifier, in the extrinsic, signed in addition
    ("CheckNonZeroSender", "()", "()"),
    ("CheckSpecVersion", "()", "u32"),
    ("CheckTxVersion", "()", "u32"),
    ("CheckGenesis", "()", "H256"),
    ("CheckMortality", "Era", "H256"),
    ("CheckNonce", "Compact<u32>", "()"),
    ("CheckWeight", "()", "()"),
    ("ChargeTransactionPayment", "Compact<u64>", "()"),
    ("SudoTransactionExtension", "()", "()"),
    ("CheckShieldedTxValidity", "()", "()"),
    ("SubtensorTransactionExtension", "()", "()"),
    ("DrandPriority", "()", "()"),
    ("CheckMetadataHash", "CheckMetadataHash", "Option<[u8; 32]>"),
)
