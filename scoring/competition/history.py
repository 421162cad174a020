"""Published rounds as one unbroken history, checked before anything is computed from it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from scoring.competition.errors import RoundsUnusableError
from scoring.competition.records import MAX_SNAPSHOT_BYTES, PreviousRound, RoundSnapshot
from scoring.competition.rounds import round_times
from scoring.competition.rules import Rules

_KEEP = "Let the last weights stand, and ask whoever runs the API."


def parse_snapshot(data: bytes) -> RoundSnapshot:
    """A snapshot as somebody published it. Raises RoundsUnusableError."""
    if len(data) > MAX_SNAPSHOT_BYTES:
        raise RoundsUnusableError(
            f"the snapshot has {len(data)} bytes, more than {MAX_SNAPSHOT_BYTES}", _KEEP
        )
    try:
        return RoundSnapshot.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the snapshot"
        raise RoundsUnusableError(f"{place}: {first['msg']}"[:1_000], _KEEP) from error


def linked_rounds(
    snapshots: Sequence[RoundSnapshot], *, rules: Rules, block: int
) -> tuple[RoundSnapshot, ...]:
    """The rounds of the moving average, oldest first, each naming the one before it.

    They may be given in any order and repeatedly; older ones are left out. Raises
    RoundsUnusableError.
    """
    by_number = _by_number(snapshots)
    newest = by_number[max(by_number)]
    if newest.closed_block > block:
        raise RoundsUnusableError(
            f"round {newest.number} closed at block {newest.closed_block}, after block {block}",
            "Read the chain at a later block.",
        )
    oldest = newest.number - rules.window + 1
    linked, previous = [newest], newest.previous
    while previous is not None and previous.number >= oldest:
        linked.append(_named(previous, by_number))
        previous = linked[-1].previous
    strays = {n for n in by_number if n >= oldest} - {snapshot.number for snapshot in linked}
    if strays:
        raise RoundsUnusableError(
            f"rounds {sorted(strays)} are no part of the history that {newest.number} names", _KEEP
        )
    for snapshot in linked:
        _check_schedule(snapshot, rules)
    return tuple(reversed(linked))


def _by_number(snapshots: Sequence[RoundSnapshot]) -> dict[int, RoundSnapshot]:
    if not snapshots:
        raise RoundsUnusableError("no round has been published", "Wait for the first to close.")
    competitions = {snapshot.competition_id for snapshot in snapshots}
    if len(competitions) > 1:
        raise RoundsUnusableError(
            f"rounds of several competitions: {sorted(competitions)}", "Weigh each by itself."
        )
    by_number: dict[int, RoundSnapshot] = {}
    for snapshot in snapshots:
        if by_number.setdefault(snapshot.number, snapshot) != snapshot:
            raise RoundsUnusableError(f"round {snapshot.number} was published twice, unlike", _KEEP)
    return by_number


def _named(previous: PreviousRound, by_number: dict[int, RoundSnapshot]) -> RoundSnapshot:
    snapshot = by_number.get(previous.number)
    if snapshot is None:
        raise RoundsUnusableError(
            f"round {previous.number} is missing", "Fetch it: the moving average needs it."
        )
    if snapshot.digest != previous.digest:
        raise RoundsUnusableError(
            f"round {previous.number} has digest {snapshot.digest}, "
            f"but the next round names {previous.digest}",
            _KEEP,
        )
    return snapshot


def _check_schedule(snapshot: RoundSnapshot, rules: Rules) -> None:
    times = round_times(snapshot.number, rules)
    found = (snapshot.start_block, snapshot.seed_block)
    if found != (times.start_block, times.seed_block):
        raise RoundsUnusableError(
            f"round {snapshot.number} gives blocks {found} for its start and its seed instead of "
            f"{(times.start_block, times.seed_block)}",
            "Compare the rules of the API with yours, above all the length of a round.",
        )
