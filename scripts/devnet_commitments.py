"""The Commitments pallet: what miners publish, in the clear or sealed until a beacon round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import devnet_beacon
from devnet_pallets import MAX_FIELDS
from devnet_scale import MalformedScaleError, Reader, sequence, sized, uint
from devnet_state import DispatchError, State
from devnet_types import (
    BIG_RAW,
    BLAKE2_256,
    MAX_BIG_RAW,
    MAX_RAW,
    MAX_SEALED,
    TIMELOCK_ENCRYPTED,
    TIMELOCK_REVEAL_FAILED,
)

MIN_CHARGED: Final = 100
"""Bytes that even the smallest commitment takes from the quota."""
MAX_REVEALED: Final = 10
"""Revealed commitments that are kept per hotkey."""

_PALLET: Final = "Commitments"
_HASHES: Final = range(BLAKE2_256, BLAKE2_256 + 4)


@dataclass(frozen=True)
class DataField:
    """One field: its bytes as they are stored, and the seal if it has one."""

    encoded: bytes
    variant: int
    content: bytes
    reveal_round: int = 0


def read_info(reader: Reader) -> list[DataField]:
    """The fields of a ``CommitmentInfo``. Raises MalformedScaleError."""
    count = reader.compact()
    return [_read_field(reader) for _ in range(count)]


def set_commitment(state: State, who: str, call: Reader) -> None:
    """Publish, in place of what the hotkey published before."""
    netuid = call.uint(2)
    fields = read_info(call)
    call.end()
    if len(fields) > MAX_FIELDS:
        raise DispatchError(_PALLET, "TooManyFieldsInCommitmentInfo")
    if any(field.variant == TIMELOCK_REVEAL_FAILED for field in fields):
        raise DispatchError(_PALLET, "TimelockRevealFailedNotAllowed")
    if state.get("SubtensorModule", "Uids", netuid, who) is None:
        raise DispatchError(_PALLET, "AccountNotAllowedCommit")
    _charge(state, netuid, who, sum(len(field.content) for field in fields))
    _write(state, netuid, who, state.block, fields)
    state.put(_PALLET, "LastCommitment", netuid, who, value=state.block)
    sealed = [field for field in fields if field.variant == TIMELOCK_ENCRYPTED]
    _index(state, netuid, who, sealed=bool(sealed))
    for field in sealed:
        event = {"netuid": netuid, "who": who, "reveal_round": field.reveal_round}
        state.deposit_event(_PALLET, "TimelockCommitment", event)
    if not sealed:
        state.deposit_event(_PALLET, "Commitment", {"netuid": netuid, "who": who})


def reveal_due(state: State, beacon_round: int) -> None:
    """Open what is sealed until a round that has come."""
    for netuid, who in state.get(_PALLET, "TimelockedIndex"):
        raw = state.raw(_PALLET, "CommitmentOf", netuid, who)
        if raw is None:
            continue
        reader = Reader(raw)
        reader.take(8)  # deposit
        committed_at = reader.uint(4)
        _reveal(state, netuid, who, committed_at, read_info(reader), beacon_round)


def _reveal(
    state: State,
    netuid: int,
    who: str,
    committed_at: int,
    fields: list[DataField],
    beacon_round: int,
) -> None:
    kept: list[DataField] = []
    opened: list[bytes] = []
    for field in fields:
        if field.variant != TIMELOCK_ENCRYPTED or field.reveal_round > beacon_round:
            kept.append(field)
            continue
        plaintext = devnet_beacon.open_sealed(field.content, field.reveal_round)
        if plaintext is None:
            kept.append(_failed(field))
        else:
            opened.append(plaintext)
    if kept == fields:
        return
    if kept:
        _write(state, netuid, who, committed_at, kept)
    else:
        # The chain forgets the block of a commitment when all of it is revealed.
        state.put_raw(_PALLET, "CommitmentOf", netuid, who, value=None)
    if opened:
        _append_revealed(state, netuid, who, opened)
        state.deposit_event(_PALLET, "CommitmentRevealed", {"netuid": netuid, "who": who})
    still = any(field.variant == TIMELOCK_ENCRYPTED for field in kept)
    _index(state, netuid, who, sealed=still)


def _append_revealed(state: State, netuid: int, who: str, plaintexts: list[bytes]) -> None:
    reader = Reader(state.raw(_PALLET, "RevealedCommitments", netuid, who) or b"\x00")
    earlier = [sized(reader.sized()) + reader.take(8) for _ in range(reader.compact())]
    # The plaintext is stored with its length before it, and that as bytes with their length.
    new = [sized(sized(plaintext)) + uint(state.block, 8) for plaintext in plaintexts]
    value = sequence((earlier + new)[-MAX_REVEALED:])
    state.put_raw(_PALLET, "RevealedCommitments", netuid, who, value=value)


def _charge(state: State, netuid: int, who: str, size: int) -> None:
    """Quotas are per epoch of the subnet."""
    epoch = state.get("SubtensorModule", "SubnetEpochIndex", netuid)
    usage = state.get(_PALLET, "UsedSpaceOf", netuid, who)
    used = usage["used_space"] if usage and usage["last_epoch"] == epoch else 0
    used += max(size, MIN_CHARGED)
    if used > state.get(_PALLET, "MaxSpace"):
        raise DispatchError(_PALLET, "SpaceLimitExceeded")
    value = {"last_epoch": epoch, "used_space": used}
    state.put(_PALLET, "UsedSpaceOf", netuid, who, value=value)


def _index(state: State, netuid: int, who: str, *, sealed: bool) -> None:
    index = [tuple(entry) for entry in state.get(_PALLET, "TimelockedIndex")]
    others = [entry for entry in index if entry != (netuid, who)]
    if sealed:
        others.append((netuid, who))
    if others != index:
        state.put(_PALLET, "TimelockedIndex", value=others)


def _write(state: State, netuid: int, who: str, block: int, fields: list[DataField]) -> None:
    no_deposit = uint(0, 8)
    info = sequence(field.encoded for field in fields)
    value = no_deposit + uint(block, 4) + info
    state.put_raw(_PALLET, "CommitmentOf", netuid, who, value=value)


def _failed(field: DataField) -> DataField:
    encoded = uint(TIMELOCK_REVEAL_FAILED, 1) + uint(field.reveal_round, 8)
    return DataField(encoded, TIMELOCK_REVEAL_FAILED, b"", field.reveal_round)


def _read_field(reader: Reader) -> DataField:
    variant = reader.uint(1)
    head = uint(variant, 1)
    if 1 <= variant <= 1 + MAX_RAW:
        content = reader.take(variant - 1)
        return DataField(head + content, variant, content)
    if variant in _HASHES:
        content = reader.take(32)
        return DataField(head + content, variant, content)
    if variant == BIG_RAW:
        content = _bounded(reader, MAX_BIG_RAW)
        return DataField(head + sized(content), variant, content)
    if variant == TIMELOCK_ENCRYPTED:
        content, reveal_round = _bounded(reader, MAX_SEALED), reader.uint(8)
        encoded = head + sized(content) + uint(reveal_round, 8)
        return DataField(encoded, variant, content, reveal_round)
    if variant == TIMELOCK_REVEAL_FAILED:
        reveal_round = reader.uint(8)
        return DataField(head + uint(reveal_round, 8), variant, b"", reveal_round)
    if variant in {0, 135}:
        return DataField(head, variant, b"")
    raise MalformedScaleError(f"no kind of commitment has the number {variant}")


def _bounded(reader: Reader, limit: int) -> bytes:
    content = reader.sized()
    if len(content) > limit:
        raise MalformedScaleError(f"{len(content)} bytes in a field of at most {limit}")
    return content
