"""Subnets and their neurons: registration, stake, epochs, and the view called metagraph."""

from __future__ import annotations

from typing import Any, Final

from devnet_core import address_of
from devnet_scale import Reader
from devnet_state import DispatchError, State
from devnet_types import METAGRAPH, RECORDS_OF_NUMBERS

PALLET: Final = "SubtensorModule"
RAO_PER_TAO: Final = 1_000_000_000
BURN_RAO: Final = 100_000_000
MAX_SUBNETS: Final = 4_096
"""Vectors of mechanism m of a subnet are kept under m times this, plus the subnet's number."""


def create_subnet(state: State, netuid: int, *, tempo: int) -> None:
    """A subnet with rules that suit a rehearsal: few weights suffice, nothing is sealed."""
    state.put(PALLET, "NetworksAdded", netuid, value=True)
    state.put(PALLET, "NetworkRegisteredAt", netuid, value=state.block)
    state.put(PALLET, "Tempo", netuid, value=tempo)
    state.put(PALLET, "LastEpochBlock", netuid, value=state.block)
    state.put(PALLET, "Burn", netuid, value=BURN_RAO)
    state.put(PALLET, "MinAllowedWeights", netuid, value=1)
    state.put(PALLET, "CommitRevealWeightsEnabled", netuid, value=False)
    state.put(PALLET, "TokenSymbol", netuid, value="ρ".encode())


def subnets(state: State) -> list[int]:
    """The numbers of all subnets."""
    return [netuid for (netuid,) in state.keys(PALLET, "NetworksAdded")]


def run_epochs(state: State) -> None:
    """Count blocks, and begin a subnet's next epoch when its tempo has passed."""
    for netuid in subnets(state):
        since = state.block - state.get(PALLET, "LastEpochBlock", netuid)
        if since > state.get(PALLET, "Tempo", netuid):
            index = state.get(PALLET, "SubnetEpochIndex", netuid)
            state.put(PALLET, "SubnetEpochIndex", netuid, value=index + 1)
            state.put(PALLET, "LastEpochBlock", netuid, value=state.block)
            since = 0
        state.put(PALLET, "BlocksSinceLastStep", netuid, value=since)


def burned_register(state: State, coldkey: str, call: Reader) -> None:
    """Register a hotkey; the coldkey pays."""
    netuid, hotkey = call.uint(2), address_of(call.take(32))
    call.end()
    burn = state.get(PALLET, "Burn", netuid)
    account = state.get("System", "Account", coldkey)
    if account["data"]["free"] < burn:
        raise DispatchError(PALLET, "NotEnoughBalanceToStake")
    register(state, netuid, hotkey=hotkey, coldkey=coldkey)
    account["data"]["free"] -= burn
    state.put("System", "Account", coldkey, value=account)


def register(state: State, netuid: int, *, hotkey: str, coldkey: str) -> int:
    """Give a hotkey a place, on a full subnet that of the oldest without permit; the uid."""
    if not state.get(PALLET, "NetworksAdded", netuid):
        raise DispatchError(PALLET, "SubnetNotExists")
    if state.get(PALLET, "Uids", netuid, hotkey) is not None:
        raise DispatchError(PALLET, "HotKeyAlreadyRegisteredInSubNet")
    owned = state.raw(PALLET, "Owner", hotkey) is not None
    if owned and state.get(PALLET, "Owner", hotkey) != coldkey:
        raise DispatchError(PALLET, "NonAssociatedColdKey")
    state.put(PALLET, "Owner", hotkey, value=coldkey)
    count = state.get(PALLET, "SubnetworkN", netuid)
    if count < state.get(PALLET, "MaxAllowedUids", netuid):
        state.put(PALLET, "SubnetworkN", netuid, value=count + 1)
        _seat(state, netuid, count, hotkey)
        return int(count)
    permits = state.get(PALLET, "ValidatorPermit", netuid)
    candidates = [
        (state.get(PALLET, "BlockAtRegistration", netuid, uid), uid)
        for uid in range(count)
        if not permits[uid]
    ]
    if not candidates:
        raise DispatchError(PALLET, "NoNeuronIdAvailable")
    _, uid = min(candidates)
    replace(state, netuid, uid=uid, hotkey=hotkey)
    return uid


def replace(state: State, netuid: int, *, uid: int, hotkey: str) -> None:
    """Give a neuron's place to another hotkey, which is how one loses it on the chain."""
    evicted = state.get(PALLET, "Keys", netuid, uid)
    state.put_raw(PALLET, "Uids", netuid, evicted, value=None)
    _seat(state, netuid, uid, hotkey)


def set_stake(state: State, netuid: int, *, hotkey: str, rao: int) -> None:
    """Set a hotkey's stake. Who has any, and the threshold, has a validator permit."""
    state.put(PALLET, "TotalHotkeyAlpha", hotkey, netuid, value=rao)
    _refresh_permit(state, netuid, state.get(PALLET, "Uids", netuid, hotkey), hotkey)


def column(state: State, item: str, index: int, count: int, empty: Any) -> list[Any]:
    """A per-neuron vector, as long as there are neurons."""
    values = list(state.get(PALLET, item, index))
    return values + [empty] * (count - len(values))


def metagraph(state: State, netuid: int) -> dict[str, Any] | None:
    """What the runtime API says about a subnet. What is not rehearsed, such as emission, is 0."""
    if not state.get(PALLET, "NetworksAdded", netuid):
        return None

    def of(item: str) -> Any:
        return state.get(PALLET, item, netuid)

    count = of("SubnetworkN")
    hotkeys = [state.get(PALLET, "Keys", netuid, uid) for uid in range(count)]
    stakes = [state.get(PALLET, "TotalHotkeyAlpha", hotkey, netuid) for hotkey in hotkeys]
    updates = column(state, "LastUpdate", netuid, count, 0)
    return {
        **{name: _nothing(kind, count) for name, kind in METAGRAPH.items()},
        "netuid": netuid,
        "name": list(b"rehearsal"),
        "symbol": list(of("TokenSymbol").encode()),
        "network_registered_at": of("NetworkRegisteredAt"),
        "block": state.block,
        "tempo": of("Tempo"),
        "last_step": of("LastEpochBlock"),
        "blocks_since_last_step": of("BlocksSinceLastStep"),
        "min_allowed_weights": of("MinAllowedWeights"),
        "max_weights_limit": of("MaxWeightsLimit"),
        "weights_version": of("WeightsVersionKey"),
        "weights_rate_limit": of("WeightsSetRateLimit"),
        "activity_cutoff": of("ActivityCutoff"),
        "num_uids": count,
        "max_uids": of("MaxAllowedUids"),
        "burn": of("Burn"),
        "registration_allowed": True,
        "commit_reveal_weights_enabled": of("CommitRevealWeightsEnabled"),
        "commit_reveal_period": of("RevealPeriodEpochs"),
        "hotkeys": hotkeys,
        "coldkeys": [state.get(PALLET, "Owner", hotkey) for hotkey in hotkeys],
        "active": [state.block - update <= of("ActivityCutoff") for update in updates],
        "validator_permit": column(state, "ValidatorPermit", netuid, count, False),
        "last_update": updates,
        "block_at_registration": [
            state.get(PALLET, "BlockAtRegistration", netuid, uid) for uid in range(count)
        ],
        "alpha_stake": stakes,
        "total_stake": stakes,
    }


def _nothing(kind: str, count: int) -> Any:
    """The value of a field about which there is nothing to say."""
    if kind.startswith("Vec<("):
        return []
    if kind.startswith("Vec<"):
        return [_nothing(kind[4:-1], count)] * count
    if kind.startswith("Option"):
        return None
    if kind in RECORDS_OF_NUMBERS:
        return dict.fromkeys(RECORDS_OF_NUMBERS[kind], 0)
    return bytes(32) if kind == "AccountId" else 0


def _seat(state: State, netuid: int, uid: int, hotkey: str) -> None:
    """Enter a hotkey at a uid, with nothing left of whoever was there."""
    state.put(PALLET, "Uids", netuid, hotkey, value=uid)
    state.put(PALLET, "Keys", netuid, uid, value=hotkey)
    state.put(PALLET, "BlockAtRegistration", netuid, uid, value=state.block)
    state.put_raw(PALLET, "Weights", netuid, uid, value=None)
    set_in_column(state, "LastUpdate", netuid, uid, state.block, empty=0)
    _refresh_permit(state, netuid, uid, hotkey)
    state.deposit_event(PALLET, "NeuronRegistered", (netuid, uid, hotkey))


def set_in_column(
    state: State, item: str, index: int, uid: int, value: object, *, empty: object
) -> None:
    """Change one neuron's entry of a per-neuron vector."""
    netuid = index % MAX_SUBNETS
    values = column(state, item, index, state.get(PALLET, "SubnetworkN", netuid), empty)
    values[uid] = value
    state.put(PALLET, item, index, value=values)


def _refresh_permit(state: State, netuid: int, uid: int, hotkey: str) -> None:
    stake = state.get(PALLET, "TotalHotkeyAlpha", hotkey, netuid)
    permit = stake > 0 and stake >= state.get(PALLET, "StakeThreshold")
    set_in_column(state, "ValidatorPermit", netuid, uid, permit, empty=False)
