"""Validators' weights: set in the clear, or committed sealed and revealed an epoch later."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import devnet_beacon
from devnet_core import address_of, key_of
from devnet_scale import MalformedScaleError, Reader, sequence, sized, uint
from devnet_state import DispatchError, State
from devnet_subtensor import MAX_SUBNETS, PALLET, set_in_column, subnets

COMMIT_REVEAL_VERSION: Final = 4
MAX_UNREVEALED: Final = 10
MAX_WEIGHT: Final = 65_535


@dataclass(frozen=True)
class WeightCommit:
    """Sealed weights, kept until the epoch in which they are revealed."""

    who: str
    block: int
    ciphertext: bytes
    reveal_round: int


def set_mechanism_weights(state: State, who: str, call: Reader) -> None:
    """Set weights in the clear."""
    netuid, mechanism = call.uint(2), call.uint(1)
    uids, values, version_key = call.uints(2), call.uints(2), call.uint(8)
    call.end()
    if state.get(PALLET, "CommitRevealWeightsEnabled", netuid):
        raise DispatchError(PALLET, "CommitRevealEnabled")
    uid = _validator(state, netuid, mechanism, who)
    index = mechanism * MAX_SUBNETS + netuid
    if not _rested(state, netuid, index, uid):
        raise DispatchError(PALLET, "SettingWeightsTooFast")
    _set(state, netuid, index, uid, uids, values, version_key)
    set_in_column(state, "LastUpdate", index, uid, state.block, empty=0)


def commit_timelocked_mechanism_weights(state: State, who: str, call: Reader) -> None:
    """Commit sealed weights."""
    netuid, mechanism = call.uint(2), call.uint(1)
    ciphertext, reveal_round, version = call.sized(), call.uint(8), call.uint(2)
    call.end()
    if not state.get(PALLET, "CommitRevealWeightsEnabled", netuid):
        raise DispatchError(PALLET, "CommitRevealDisabled")
    if version != COMMIT_REVEAL_VERSION:
        raise DispatchError(PALLET, "IncorrectCommitRevealVersion")
    uid = _validator(state, netuid, mechanism, who)
    index = mechanism * MAX_SUBNETS + netuid
    if not _rested(state, netuid, index, uid):
        raise DispatchError(PALLET, "CommittingWeightsTooFast")
    if reveal_round <= devnet_beacon.round_at(state.get("Timestamp", "Now")):
        raise DispatchError(PALLET, "InvalidRevealRound")
    epoch = state.get(PALLET, "SubnetEpochIndex", netuid)
    commits = _commits(state, index, epoch)
    if sum(commit.who == who for commit in commits) >= MAX_UNREVEALED:
        raise DispatchError(PALLET, "TooManyUnrevealedCommits")
    commits.append(WeightCommit(who, state.block, ciphertext, reveal_round))
    _put_commits(state, index, epoch, commits)
    set_in_column(state, "LastUpdate", index, uid, state.block, empty=0)
    digest = hashlib.blake2b(ciphertext, digest_size=32).digest()
    state.deposit_event(PALLET, "TimelockedWeightsCommitted", (who, index, digest, reveal_round))


def reveal_due(state: State, beacon_round: int) -> None:
    """Set the weights committed a reveal period ago whose round has come; drop older ones."""
    for netuid in subnets(state):
        period = state.get(PALLET, "RevealPeriodEpochs", netuid)
        due = state.get(PALLET, "SubnetEpochIndex", netuid) - period
        for mechanism in range(state.get(PALLET, "MechanismCountCurrent", netuid)):
            index = mechanism * MAX_SUBNETS + netuid
            for (epoch,) in state.keys(PALLET, "TimelockedWeightCommits", index):
                if epoch == due:
                    _reveal(state, netuid, index, epoch, beacon_round)
                elif epoch < due:
                    _put_commits(state, index, epoch, [])


def _reveal(state: State, netuid: int, index: int, epoch: int, beacon_round: int) -> None:
    waiting = []
    for commit in _commits(state, index, epoch):
        if commit.reveal_round > beacon_round:
            waiting.append(commit)
            continue
        try:
            _open(state, netuid, index, commit)
        except (DispatchError, MalformedScaleError):
            # As on the chain: a commit that cannot be applied is dropped without a word.
            continue
    _put_commits(state, index, epoch, waiting)


def _open(state: State, netuid: int, index: int, commit: WeightCommit) -> None:
    plaintext = devnet_beacon.open_sealed(commit.ciphertext, commit.reveal_round)
    if plaintext is None:
        raise MalformedScaleError("sealed for another beacon")
    payload = Reader(plaintext)
    hotkey, uids, values = payload.sized(), payload.uints(2), payload.uints(2)
    version_key = payload.uint(8)
    if address_of(hotkey) != commit.who:
        raise MalformedScaleError("copied from another validator")
    uid = _validator(state, netuid, index // MAX_SUBNETS, commit.who)
    _set(state, netuid, index, uid, uids, values, version_key)
    state.deposit_event(PALLET, "TimelockedWeightsRevealed", (index, commit.who))


def _validator(state: State, netuid: int, mechanism: int, who: str) -> int:
    """The uid of a hotkey that may set weights."""
    if not state.get(PALLET, "NetworksAdded", netuid):
        raise DispatchError(PALLET, "SubnetNotExists")
    if mechanism >= state.get(PALLET, "MechanismCountCurrent", netuid):
        raise DispatchError(PALLET, "MechanismDoesNotExist")
    uid = state.get(PALLET, "Uids", netuid, who)
    if uid is None:
        raise DispatchError(PALLET, "HotKeyNotRegisteredInSubNet")
    stake = state.get(PALLET, "TotalHotkeyAlpha", who, netuid)
    if stake < state.get(PALLET, "StakeThreshold"):
        raise DispatchError(PALLET, "NotEnoughStakeToSetWeights")
    return int(uid)


def _rested(state: State, netuid: int, index: int, uid: int) -> bool:
    """Whether the rate limit has passed since the last time; a registration counts as one."""
    updates = state.get(PALLET, "LastUpdate", index)
    last = updates[uid] if uid < len(updates) else 0
    limit = state.get(PALLET, "WeightsSetRateLimit", netuid)
    return last == 0 or state.block - last >= limit


def _set(
    state: State,
    netuid: int,
    index: int,
    uid: int,
    uids: list[int],
    values: list[int],
    version_key: int,
) -> None:
    if len(uids) != len(values):
        raise DispatchError(PALLET, "WeightVecNotEqualSize")
    if len(set(uids)) != len(uids):
        raise DispatchError(PALLET, "DuplicateUids")
    count = state.get(PALLET, "SubnetworkN", netuid)
    if any(other >= count for other in uids):
        raise DispatchError(PALLET, "UidVecContainInvalidOne")
    required = state.get(PALLET, "WeightsVersionKey", netuid)
    if required and version_key < required:
        raise DispatchError(PALLET, "IncorrectWeightVersionKey")
    of_itself = uids == [uid]
    if not of_itself:
        if not state.get(PALLET, "ValidatorPermit", netuid)[uid]:
            raise DispatchError(PALLET, "NeuronNoValidatorPermit")
        if len(uids) < min(state.get(PALLET, "MinAllowedWeights", netuid), count):
            raise DispatchError(PALLET, "WeightVecLengthIsLow")
        limit = state.get(PALLET, "MaxWeightsLimit", netuid)
        if max(values, default=0) * MAX_WEIGHT > limit * sum(values):
            raise DispatchError(PALLET, "MaxWeightExceeded")
    state.put(PALLET, "Weights", index, uid, value=list(zip(uids, values, strict=True)))
    state.deposit_event(PALLET, "WeightsSet", (index, uid))


def _commits(state: State, index: int, epoch: int) -> list[WeightCommit]:
    reader = Reader(state.raw(PALLET, "TimelockedWeightCommits", index, epoch) or b"\x00")
    return [
        WeightCommit(
            address_of(reader.take(32)),
            reader.uint(8),
            reader.sized(),
            reader.uint(8),
        )
        for _ in range(reader.compact())
    ]


def _put_commits(state: State, index: int, epoch: int, commits: list[WeightCommit]) -> None:
    encoded = sequence(
        key_of(commit.who)
        + uint(commit.block, 8)
        + sized(commit.ciphertext)
        + uint(commit.reveal_round, 8)
        for commit in commits
    )
    value = encoded if commits else None
    state.put_raw(PALLET, "TimelockedWeightCommits", index, epoch, value=value)
