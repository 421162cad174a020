"""The rehearsal chain: making blocks out of what is in the pool, one after the other.

Every block is final at once. Fees are not rehearsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import devnet_beacon
import devnet_commitments
import devnet_subtensor
import devnet_weights
from devnet_core import make_runtime
from devnet_extrinsic import Extrinsic, InvalidExtrinsicError, parse_extrinsic
from devnet_metadata import encode_metadata
from devnet_pallets import Pallet, pallets
from devnet_scale import MalformedScaleError, Reader, compact, sequence, sized
from devnet_state import DispatchError, State, error_value
from devnet_store import Block, DevnetStore

MAX_POOL: Final = 1_000
NO_PARENT: Final = bytes(32)
SALT_KEY: Final = b":salt"

_HANDLERS: Final[Mapping[tuple[str, str], Callable[[State, str, Reader], None]]] = {
    ("SubtensorModule", "burned_register"): devnet_subtensor.burned_register,
    ("SubtensorModule", "set_mechanism_weights"): devnet_weights.set_mechanism_weights,
    (
        "SubtensorModule",
        "commit_timelocked_mechanism_weights",
    ): devnet_weights.commit_timelocked_mechanism_weights,
    ("Commitments", "set_commitment"): devnet_commitments.set_commitment,
}
_NO_WEIGHT: Final = {
    "weight": {"ref_time": 0, "proof_size": 0},
    "class": "Normal",
    "pays_fee": "No",
}


class Chain:
    """Blocks, state and pool. ``now_millis`` is the time since 1970, ``block_millis`` what
    clients expect to pass between two blocks.
    """

    def __init__(
        self,
        store: DevnetStore,
        *,
        netuid: int,
        tempo: int,
        block_millis: int,
        now_millis: Callable[[], int],
        salt: bytes,
    ) -> None:
        """Go on from what ``store`` holds, or begin a chain with one subnet.

        ``salt`` tells a new chain from all others.
        """
        self._pallets = {pallet.name: pallet for pallet in pallets(block_millis)}
        self.metadata = encode_metadata(tuple(self._pallets.values()))
        self.runtime: Any = make_runtime(self.metadata)
        self._store = store
        self._now_millis = now_millis
        self._ahead_millis = 0
        self._pool: list[Extrinsic] = []
        head = store.head()
        if head is None:
            head = self._make_genesis(netuid, tempo, salt)
        self.head = head
        self._ahead_millis = max(0, self.state().get("Timestamp", "Now") - now_millis())
        genesis = store.block_numbered(0)
        assert genesis is not None
        self.genesis = genesis

    # Reading

    def state(self, block: Block | None = None) -> State:
        """The state after a block, or after the newest."""
        return State(self._store, self.runtime, (block or self.head).number)

    def block_numbered(self, number: int) -> Block | None:
        """The block at a height."""
        return self._store.block_numbered(number)

    def block_hashed(self, block_hash: bytes) -> Block | None:
        """The block with a hash."""
        return self._store.block_hashed(block_hash)

    def next_nonce(self, account: str) -> int:
        """The nonce of an account's next extrinsic, with those in the pool counted."""
        pending = sum(extrinsic.signer == account for extrinsic in self._pool)
        return int(self.state().get("System", "Account", account)["nonce"]) + pending

    @property
    def pending(self) -> int:
        """How many extrinsics wait for the next block."""
        return len(self._pool)

    # Writing

    def submit(self, raw: bytes) -> Extrinsic:
        """Take an extrinsic into the pool. Raises InvalidExtrinsicError."""
        extrinsic = parse_extrinsic(raw)
        if len(self._pool) >= MAX_POOL:
            raise InvalidExtrinsicError("Transaction pool is full")
        birth = extrinsic.era.birth(self.head.number)
        era_block = self._store.block_numbered(birth)
        if era_block is None:
            raise InvalidExtrinsicError("Transaction has an ancient birth block")
        extrinsic.check_signature(genesis=self.genesis.hash, era_block=era_block.hash)
        expected = self.next_nonce(extrinsic.signer)
        if extrinsic.nonce < expected:
            raise InvalidExtrinsicError("Transaction is outdated")
        if extrinsic.nonce > expected:
            raise InvalidExtrinsicError("Transaction will be valid in the future")
        self._pool.append(extrinsic)
        return extrinsic

    def advance(
        self,
        blocks: int = 1,
        *,
        skip_millis: int = 0,
        change: Callable[[State], None] | None = None,
    ) -> list[Block]:
        """Make blocks, the first of them after ``skip_millis`` and with ``change`` in it."""
        before = (self.head, self._pool, self._ahead_millis)
        self._ahead_millis += skip_millis
        made = []
        try:
            with self._store.transaction():
                for _ in range(blocks):
                    made.append(self._make_block(change))
                    change = None
        except BaseException:
            self.head, self._pool, self._ahead_millis = before
            raise
        return made

    def _make_genesis(self, netuid: int, tempo: int, salt: bytes) -> Block:
        def begin(state: State) -> None:
            devnet_subtensor.create_subnet(state, netuid, tempo=tempo)
            # Clients cache metadata by genesis hash: no two chains may share one.
            self._store.write(SALT_KEY, salt, state.block)

        with self._store.transaction():
            return self._finish(State(self._store, self.runtime, 0), NO_PARENT, (), begin)

    def _make_block(self, change: Callable[[State], None] | None) -> Block:
        state = State(self._store, self.runtime, self.head.number + 1)
        self.head = self._finish(state, self.head.hash, tuple(self._pool), change)
        self._pool = []
        return self.head

    def _finish(
        self,
        state: State,
        parent: bytes,
        included: tuple[Extrinsic, ...],
        change: Callable[[State], None] | None,
    ) -> Block:
        """Carry a block out, in the order of the real runtime, and store it."""
        self._begin_block(state)
        if change is not None:
            change(state)
        events = [_record("Initialization", event) for event in state.take_events()]
        for index, extrinsic in enumerate(included):
            self._apply(state, extrinsic)
            phase = {"ApplyExtrinsic": index}
            events += [_record(phase, event) for event in state.take_events()]
        state.put("System", "Events", value=events)
        changes = _digest(
            sequence(
                sized(key) + sized(value or b"") for key, value in self._store.changes(state.block)
            )
        )
        raw = tuple(extrinsic.raw for extrinsic in included)
        header = parent + compact(state.block) + changes + extrinsics_root(raw) + sequence(())
        block = Block(state.block, _digest(header), parent, changes, raw)
        self._store.add_block(block)
        return block

    def _begin_block(self, state: State) -> None:
        # Blocks made in a row do not move the clock: clients seal by their own.
        now = max(self._now_millis() + self._ahead_millis, state.get("Timestamp", "Now") + 1)
        state.put("System", "Number", value=state.block)
        state.put("Timestamp", "Now", value=now)
        devnet_subtensor.run_epochs(state)
        beacon_round = devnet_beacon.round_at(now)
        devnet_weights.reveal_due(state, beacon_round)
        devnet_commitments.reveal_due(state, beacon_round)

    def _apply(self, state: State, extrinsic: Extrinsic) -> None:
        """Carry out one call: all of it, or nothing but the nonce and an event."""
        account = state.get("System", "Account", extrinsic.signer)
        account["nonce"] += 1
        state.put("System", "Account", extrinsic.signer, value=account)
        try:
            with self._store.transaction():
                self._dispatch(state, extrinsic)
        except DispatchError as error:
            state.take_events()
            value = error_value(self._pallets, error)
            failed = {"dispatch_error": value, "dispatch_info": _NO_WEIGHT}
            state.deposit_event("System", "ExtrinsicFailed", failed)
        else:
            state.deposit_event("System", "ExtrinsicSuccess", {"dispatch_info": _NO_WEIGHT})

    def _dispatch(self, state: State, extrinsic: Extrinsic) -> None:
        call = Reader(extrinsic.call)
        try:
            handler = self._handler(call.uint(1), call.uint(1))
            handler(state, extrinsic.signer, call)
        except MalformedScaleError as error:
            raise DispatchError("System", "Other") from error

    def _handler(self, pallet_index: int, call_index: int) -> Callable[[State, str, Reader], None]:
        for (pallet, name), handler in _HANDLERS.items():
            here: Pallet = self._pallets[pallet]
            if (here.index, here.calls[name][0]) == (pallet_index, call_index):
                return handler
        raise MalformedScaleError(f"no call has the numbers {pallet_index}, {call_index}")


def extrinsics_root(extrinsics: tuple[bytes, ...]) -> bytes:
    """A digest over a block's extrinsics; not the trie root of the real chain."""
    return _digest(sequence(map(sized, extrinsics)))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def _record(phase: object, event: Mapping[str, Any]) -> dict[str, Any]:
    return {"phase": phase, "event": event, "topics": []}
