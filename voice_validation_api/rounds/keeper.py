"""Opens, seeds and closes rounds as the chain's blocks pass.

Every step reads where things stand and moves them on by one, in one transaction that is guarded by
the state it leaves. So a keeper may be killed anywhere and started again, late or twice. Only final
blocks count: they cannot change any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scoring.competition import (
    Participant,
    PreviousRound,
    RoundSnapshot,
    Rules,
    SignedRound,
    Weights,
    next_round_entrants,
    weights,
)
from scoring.competition.rounds import RoundTimes, round_at, round_seed
from utilities.chain import Chain
from utilities.chain_view import read_view
from utilities.hub import Hub
from utilities.hub_errors import HubError
from voice_validation_api.copies_ledger import CopyLedger
from voice_validation_api.database import RefusedByDatabaseError
from voice_validation_api.rounds.drawing import MAX_MISSES, drawn_ids, entries_of
from voice_validation_api.rounds.ledger import RoundLedger, RoundMovedError
from voice_validation_api.rounds.records import Drawn, Published, RoundState, RunningRound
from voice_validation_api.rounds.snapshot import protocol_of, snapshot_of

log = logging.getLogger("round_keeper")


@dataclass(frozen=True)
class Keeper:
    """Keeps the rounds of one competition. ``sign`` signs what is published.

    ``signs`` says of a round whether that is this keeper's to do; another keeper signs the others.
    """

    competition_id: str
    netuid: int
    ledger: RoundLedger
    copies: CopyLedger
    chain: Chain
    hub: Hub
    rules: Rules
    sign: Callable[[RoundSnapshot], SignedRound]
    signs: Callable[[int], bool] = lambda _: True

    def step(self) -> bool:
        """Do what is due; whether something was. Raises ChainError, DatabaseUnavailableError."""
        # In this order: what is there now had been pinned before the block that is final now.
        unpinned = self.ledger.unpinned()
        head = self.chain.finalized_block()
        self.ledger.pin(unpinned, head)
        if unpinned:
            log.info("pinned at block %d: submissions=%d", head, len(unpinned))
        self.ledger.withhold()
        running = self.ledger.running()
        try:
            if running is None:
                return self._open(round_at(head, self.rules))
            if running.state is RoundState.OPEN:
                return self._seed(running, head)
            return self._close(running, head)
        except (RoundMovedError, RefusedByDatabaseError) as error:
            log.warning("another keeper was here first: %s", error)
            return True

    def _open(self, times: RoundTimes) -> bool:
        newest = self.ledger.newest_number()
        if newest is not None and newest >= times.number:
            return False
        view = read_view(self.chain, self.netuid)
        participants = view.participants()
        snapshots = self._snapshots()
        decided = self._weights(snapshots, participants, view.block) if snapshots else None
        entrants = next_round_entrants(
            decided,
            self.ledger.candidates(times.start_block),
            chain=participants,
            rules=self.rules,
            times=times,
        )
        drawn = self.ledger.drawn(drawn_ids(entrants, self.ledger.absentees(MAX_MISSES)))
        entries = entries_of(drawn, chain=participants, is_gone=self._is_gone)
        if not entries:
            return False
        self.ledger.open(times, entries)
        absent = sum(entry.absence is not None for entry in entries)
        log.info("round %d opened: entries=%d absent=%d", times.number, len(entries), absent)
        return True

    def _seed(self, running: RunningRound, head: int) -> bool:
        if head >= running.end_block:
            # Its prompts would have been known for a whole round.
            self._void(running, "its seed was not drawn in time")
            return True
        if head < running.seed_block:
            return False
        block_hash = self.chain.block_hash(running.seed_block)
        if block_hash is None:
            log.error("round %d: the node has no block %d", running.number, running.seed_block)
            return False
        seed = round_seed(self.competition_id, running.number, block_hash)
        self.ledger.seed(running.number, block_hash=block_hash, seed=seed)
        log.info("round %d scores: seed=%s", running.number, seed)
        return True

    def _close(self, running: RunningRound, head: int) -> bool:
        if head >= running.end_block and (taken := self.ledger.take_back(running.number)):
            log.warning("round %d is over: %d evaluations taken back", running.number, taken)
        entries = self.ledger.entries(running.number)
        if head < running.end_block and not all(entry.is_settled for entry in entries):
            return False
        protocol = protocol_of(entries)
        if protocol is None:
            self._void(running, "nobody has a score")
            return True
        if not self.signs(running.number):
            log.warning("round %d waits for the keeper whose hotkey signs it", running.number)
            return False
        self.copies.find()
        view = read_view(self.chain, self.netuid)
        before = self._snapshots()
        snapshot = snapshot_of(
            running,
            entries,
            protocol=protocol,
            near_copies=self.copies.near_copies([entry.submission_id for entry in entries]),
            previous=_named(before[-1]) if before else None,
            closed_block=view.block,
        )
        self.ledger.close(
            running.number,
            closed_block=view.block,
            protocol=protocol[0],
            published=Published(
                number=running.number,
                digest=snapshot.digest,
                published=self.sign(snapshot).model_dump_json(),
            ),
            weights=self._weights([*before, snapshot], view.participants(), view.block),
            scored=[s.submission_id for s in snapshot.standings if s.result is not None],
        )
        log.info("round %d is published: digest=%s", running.number, snapshot.digest)
        return True

    def _void(self, running: RunningRound, reason: str) -> None:
        self.ledger.void(running.number)
        log.error("round %d is void: %s", running.number, reason)

    def _snapshots(self) -> list[RoundSnapshot]:
        return [
            SignedRound.model_validate_json(row.published).snapshot
            for row in self.ledger.published(self.rules.window)
        ]

    def _weights(
        self, snapshots: Sequence[RoundSnapshot], chain: Sequence[Participant], block: int
    ) -> Weights:
        return weights(snapshots, chain=chain, rules=self.rules, block=block)

    def _is_gone(self, drawn: Drawn) -> bool:
        try:
            self.hub.resolve_revision(drawn.namespace, drawn.name, drawn.revision)
        except HubError as error:
            if error.transient:
                # An outage of the hub is no miss of the miner's.
                log.warning("submission %d not checked: %s", drawn.submission_id, error.message)
                return False
            log.warning("submission %d is gone: %s", drawn.submission_id, error.message)
            return True
        return False


def _named(snapshot: RoundSnapshot) -> PreviousRound:
    return PreviousRound(number=snapshot.number, digest=snapshot.digest)
