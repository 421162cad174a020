"""From the chain to the ledger: every commitment of a subnet, also those that were overwritten.

The chain shows the newest commitment of a hotkey. What it committed before is found by going back:
the block before a commitment shows the one that it replaced, down to what was seen already. The
block before a reveal shows the sealed commitment that was opened, and so proves when it was made;
where the node has forgotten that block, a reveal counts from its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from neurons.chain_past import PastCommitments, past_of
from neurons.model_queue_ledger import Ledger, Recorded, Seal, SealState, State
from utilities.chain import Chain, Commitment, Metagraph
from utilities.chain_errors import ChainError
from utilities.model_reference import InvalidReferenceError, parse_reference

MAX_STEPS_BACK: Final = 64
"""Overwritten commitments of one hotkey that are looked up at once; more than its quota allows in
an epoch."""

log = logging.getLogger("model_queue")


class ChainBehindError(ChainError):
    """The node has not come as far as was seen already."""

    code: ClassVar[str] = "CHAIN_BEHIND"
    transient: ClassVar[bool] = True


class OtherChainError(ChainError):
    """The ledger tells of another chain."""

    code: ClassVar[str] = "OTHER_CHAIN"


@dataclass(frozen=True)
class Observation:
    """The subnet at one block that cannot change any more."""

    metagraph: Metagraph
    commitments: tuple[Commitment, ...]


@dataclass(frozen=True)
class _Text:
    hotkey: str
    block: int
    text: str
    sealed_block: int | None


def observe(chain: Chain, netuid: int, ledger: Ledger) -> Observation:
    """Record what was committed since the last time. Raises ChainError and LedgerError; then
    nothing was recorded, and the next time begins where this one did."""
    height = chain.finalized_block()
    last = _last_height(chain, ledger, height)
    now = Observation(
        chain.metagraph(netuid, block=height), chain.commitments(netuid, block=height)
    )
    past = past_of(chain, netuid)
    seen = [step for entry in now.commitments for step in _back(entry, last, past)]
    texts = [text for entry in seen for text in _texts(entry, last, past)]
    registered = {neuron.hotkey for neuron in now.metagraph.neurons}
    new = [
        _judged(chain, text, height, registered)
        for text in dict.fromkeys(texts)
        if not ledger.knows(text.hotkey, text.block, text.text)
    ]
    block_hash = chain.block_hash(height)
    with ledger.transaction():
        for commitment in sorted(new, key=lambda found: (found.block, found.hotkey)):
            ledger.add(commitment)
            _tell(commitment)
        _record_seals(ledger, seen, now, height)
        _follow_registrations(ledger, now, registered)
        ledger.set_progress(height, block_hash)
    return now


def _last_height(chain: Chain, ledger: Ledger, height: int) -> int | None:
    """The block up to which everything is recorded; None at first."""
    progress = ledger.progress()
    if progress is None:
        return None
    last, block_hash = progress
    if height < last:
        raise ChainBehindError(
            f"the chain is at block {height}, and block {last} was seen already",
            "Wait until the node has caught up. If it is another chain, name another VAR_DIR.",
        )
    found = chain.block_hash(last)
    if found is not None and block_hash is not None and found != block_hash:
        raise OtherChainError(
            f"block {last} is {found}, and was {block_hash} when it was seen",
            "This state is of another chain: name another VAR_DIR, or move the file away.",
        )
    return last


def _back(entry: Commitment, last: int | None, past: PastCommitments) -> Iterator[Commitment]:
    """``entry`` and those before it that were not there at block ``last``, newest first."""
    yield entry
    for _ in range(MAX_STEPS_BACK):
        if last is None or entry.block <= last:
            return
        then = past(entry.block - 1)
        if then is None or entry.hotkey not in then:
            return
        entry = then[entry.hotkey]
        yield entry
    log.warning("overwritten commitments left out: hotkey=%s before=%d", entry.hotkey, entry.block)


def _texts(entry: Commitment, last: int | None, past: PastCommitments) -> Iterator[_Text]:
    """What can be read of an entry, and of what it hid until after block ``last``."""
    if entry.text is not None and entry.status != "revealed":
        yield _Text(entry.hotkey, entry.block, entry.text, None)
    newest = entry.reveals[-1:] if entry.status == "revealed" else ()
    for reveal in newest if last is None else entry.reveals:
        if last is None or reveal.block > last:
            sealed_block = _sealed_before(entry.hotkey, reveal.block, past)
            yield _Text(entry.hotkey, reveal.block, reveal.text, sealed_block)


def _sealed_before(hotkey: str, reveal_block: int, past: PastCommitments) -> int | None:
    then = past(reveal_block - 1)
    sealed = then.get(hotkey) if then is not None else None
    return sealed.block if sealed is not None and sealed.sealed_digest is not None else None


def _judged(chain: Chain, found: _Text, height: int, registered: set[str]) -> Recorded:
    commitment = Recorded(
        hotkey=found.hotkey,
        block=found.block,
        text=found.text,
        block_hash=None,
        sealed_block=found.sealed_block,
        seen_at=height,
        state=State.PENDING if found.hotkey in registered else State.DEREGISTERED,
    )
    try:
        parse_reference(found.text, committed_by=found.hotkey)
    except InvalidReferenceError as error:
        reason = f"{error.field}: {error.message}"
        return replace(commitment, state=State.MALFORMED, reason=reason)
    return replace(commitment, block_hash=chain.block_hash(found.block))


def _record_seals(
    ledger: Ledger, seen: Iterable[Commitment], now: Observation, height: int
) -> None:
    failed = set()
    for entry in seen:
        if entry.status == "failed":
            failed.add((entry.hotkey, entry.block))
        if entry.sealed_digest is not None:
            opens = str(entry.reveal_round)
            seal = Seal(entry.hotkey, entry.block, entry.sealed_digest, opens, height)
            if ledger.add_seal(seal):
                log.info(
                    "sealed: hotkey=%s block=%d round=%s digest=%s",
                    *(seal.hotkey, seal.block, seal.reveal_round, seal.digest),
                )
    waiting = {(entry.hotkey, entry.block) for entry in now.commitments if entry.sealed_digest}
    for seal in ledger.seals(SealState.SEALED):
        key = (seal.hotkey, seal.block)
        if key in waiting:
            continue
        state = SealState.REPLACED
        if key in failed:
            state = SealState.FAILED
        elif ledger.is_opened(seal):
            state = SealState.OPENED
        ledger.end_seal(seal, state)
        log.info("%s: hotkey=%s block=%d", state.value.lower(), *key)


def _follow_registrations(ledger: Ledger, now: Observation, registered: set[str]) -> None:
    for commitment in ledger.in_state(State.PENDING):
        if commitment.hotkey not in registered:
            ledger.set_state(commitment, State.DEREGISTERED)
            _tell(replace(commitment, state=State.DEREGISTERED))
    shown = {(entry.hotkey, entry.text) for entry in now.commitments}
    for commitment in ledger.in_state(State.DEREGISTERED):
        is_shown = (commitment.hotkey, commitment.text) in shown
        if is_shown and commitment.hotkey in registered:
            ledger.set_state(commitment, State.PENDING)
            _tell(replace(commitment, state=State.PENDING))


def _tell(commitment: Recorded) -> None:
    log.info(
        "%s: hotkey=%s block=%d sealed_block=%s text=%r%s",
        commitment.state.value.lower(),
        commitment.hotkey,
        commitment.block,
        commitment.sealed_block,
        commitment.text[:200],
        f" reason={commitment.reason!r}" if commitment.reason else "",
    )
