"""What only a rehearsal can do: move the clock, give money and places, change a subnet's rules.

Each is a JSON-RPC method ``dev_NAME`` with named parameters, and takes effect in a block of its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final

import devnet_subtensor
from devnet_chain import Chain
from devnet_state import State
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from utilities.ss58 import is_ss58

RULES: Final = (
    "ActivityCutoff",
    "Burn",
    "CommitRevealWeightsEnabled",
    "MaxAllowedUids",
    "MaxWeightsLimit",
    "MechanismCountCurrent",
    "MinAllowedWeights",
    "RevealPeriodEpochs",
    "Tempo",
    "WeightsSetRateLimit",
    "WeightsVersionKey",
)
MAX_ADVANCE: Final = 100_000


def _address(text: str) -> str:
    if not is_ss58(text):
        raise ValueError(f"{text!r:.100} is not an address")
    return text


Address = Annotated[str, AfterValidator(_address)]
Tao = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
NetUid = Annotated[int, Field(ge=0, lt=devnet_subtensor.MAX_SUBNETS)]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Advance(_Parameters):
    """Make blocks, all at one moment. The clock jumps ahead by ``seconds`` before the first."""

    blocks: int = Field(default=1, ge=1, le=MAX_ADVANCE)
    seconds: float = Field(default=0.0, ge=0.0, le=1e8, allow_inf_nan=False)


class Fund(_Parameters):
    """Add free balance to an account."""

    account: Address
    tao: Tao


class Register(_Parameters):
    """Register a hotkey without burn, with ``stake`` TAO of stake."""

    netuid: NetUid
    hotkey: Address
    coldkey: Address
    stake: Tao = 0.0


class Stake(_Parameters):
    """Set the stake of a registered hotkey, in TAO."""

    netuid: NetUid
    hotkey: Address
    stake: Tao


class Replace(_Parameters):
    """Deregister a hotkey: another takes its place."""

    netuid: NetUid
    hotkey: Address
    by: Address
    coldkey: Address


class Rule(_Parameters):
    """Change one rule of a subnet."""

    netuid: NetUid
    rule: str = Field(pattern="^(" + "|".join(RULES) + ")$")
    value: int = Field(ge=0, lt=2**63)


class ControlError(ValueError):
    """What was asked for cannot be done."""


def advance(chain: Chain, asked: Advance) -> int:
    """The new height."""
    return chain.advance(asked.blocks, skip_millis=round(asked.seconds * 1_000))[-1].number


def fund(chain: Chain, asked: Fund) -> int:
    """The block that did it."""

    def change(state: State) -> None:
        account = state.get("System", "Account", asked.account)
        account["data"]["free"] += round(asked.tao * devnet_subtensor.RAO_PER_TAO)
        state.put("System", "Account", asked.account, value=account)

    return _changed(chain, change)


def register(chain: Chain, asked: Register) -> int:
    """The block that did it."""

    def change(state: State) -> None:
        devnet_subtensor.register(state, asked.netuid, hotkey=asked.hotkey, coldkey=asked.coldkey)
        _set_stake(state, asked.netuid, asked.hotkey, asked.stake)

    return _changed(chain, change)


def stake(chain: Chain, asked: Stake) -> int:
    """The block that did it."""

    def change(state: State) -> None:
        _uid_of(state, asked.netuid, asked.hotkey)
        _set_stake(state, asked.netuid, asked.hotkey, asked.stake)

    return _changed(chain, change)


def replace(chain: Chain, asked: Replace) -> int:
    """The block that did it."""

    def change(state: State) -> None:
        uid = _uid_of(state, asked.netuid, asked.hotkey)
        if state.get("SubtensorModule", "Uids", asked.netuid, asked.by) is not None:
            raise ControlError(f"{asked.by} is registered on subnet {asked.netuid} already")
        state.put("SubtensorModule", "Owner", asked.by, value=asked.coldkey)
        devnet_subtensor.replace(state, asked.netuid, uid=uid, hotkey=asked.by)

    return _changed(chain, change)


def rule(chain: Chain, asked: Rule) -> int:
    """The block that did it."""

    def change(state: State) -> None:
        state.put("SubtensorModule", asked.rule, asked.netuid, value=asked.value)

    return _changed(chain, change)


METHODS: Final[Mapping[str, tuple[type[_Parameters], Callable[..., int]]]] = {
    "dev_advance": (Advance, advance),
    "dev_fund": (Fund, fund),
    "dev_register": (Register, register),
    "dev_replace": (Replace, replace),
    "dev_rule": (Rule, rule),
    "dev_stake": (Stake, stake),
}


def _changed(chain: Chain, change: Callable[[State], None]) -> int:
    return chain.advance(change=change)[-1].number


def _set_stake(state: State, netuid: int, hotkey: str, tao: float) -> None:
    rao = round(tao * devnet_subtensor.RAO_PER_TAO)
    devnet_subtensor.set_stake(state, netuid, hotkey=hotkey, rao=rao)


def _uid_of(state: State, netuid: int, hotkey: str) -> int:
    uid = state.get("SubtensorModule", "Uids", netuid, hotkey)
    if uid is None:
        raise ControlError(f"{hotkey} is not registered on subnet {netuid}")
    return int(uid)
