"""Which submissions of a round compete, and why the others do not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from scoring.competition.copies import originals_of_copies
from scoring.competition.priority import Priority, priority_of
from scoring.competition.records import Participant, RoundSnapshot, Standing, Verdict
from scoring.competition.rules import Rules


@dataclass(frozen=True)
class Ruling:
    """What becomes of one submission in one round."""

    standing: Standing
    verdict: Verdict
    reason: str


class Referee:
    """Rules on each of some linked rounds with all that is known from all of them and the chain.

    What is learnt later holds for earlier rounds too: a copy that is found out keeps nothing of
    what it was given in the moving average.
    """

    def __init__(
        self,
        rounds: Sequence[RoundSnapshot],
        *,
        chain: Sequence[Participant],
        rules: Rules,
        block: int,
        excluded: Collection[int],
    ) -> None:
        """``rounds`` are linked, oldest first; the newest is ruled as of ``block``."""
        self._rules = rules
        self._block = block
        self._newest = rounds[-1]
        self._excluded = frozenset(excluded)
        self._registered = {participant.hotkey: participant for participant in chain}
        self._mentions = [standing for snapshot in rounds for standing in snapshot.standings]
        self._latest = {standing.submission_id: standing for standing in self._mentions}
        self._originals = originals_of_copies(
            _with_all_links(self._latest, self._mentions),
            coldkeys={hotkey: p.coldkey for hotkey, p in self._registered.items()},
            seed=self._newest.seed,
        )
        self._superseded = self._first_successors()
        self._first_seen = self._first_appearances(rounds)

    def rulings(self, snapshot: RoundSnapshot) -> list[Ruling]:
        """One for each standing, in the order of the snapshot.

        Of those that could compete, a coldkey has one that does: that of the hotkey that was first
        in these rounds. So what else it submits changes nothing, neither for it nor for others. A
        coldkey with a copy is family of the original, which is paid for all of them. Nobody can
        be drawn into a family by others: a hotkey joins a coldkey with that coldkey's signature.
        """
        rulings = self._each_by_itself(snapshot)
        heads: dict[str, Ruling] = {}
        copies: dict[str, Ruling] = {}
        for ruling in rulings:
            if ruling.verdict in {"copy", "held"}:
                copies.setdefault(self._coldkey(ruling), ruling)
            elif ruling.verdict == "competes":
                head = heads.setdefault(self._coldkey(ruling), ruling)
                if self._entered(ruling) < self._entered(head):
                    heads[self._coldkey(ruling)] = ruling
        return [self._within_family(ruling, heads, copies) for ruling in rulings]

    def _within_family(
        self, ruling: Ruling, heads: Mapping[str, Ruling], copies: Mapping[str, Ruling]
    ) -> Ruling:
        if ruling.verdict != "competes":
            return ruling
        coldkey = self._coldkey(ruling)
        if coldkey in copies:
            number = copies[coldkey].standing.submission_id
            reason = f"its coldkey has a copy, submission {number}, and so belongs to the original"
        elif heads[coldkey] is not ruling:
            reason = f"submission {heads[coldkey].standing.submission_id} stands for its coldkey"
        else:
            return ruling
        return Ruling(ruling.standing, "family", reason)

    def _each_by_itself(self, snapshot: RoundSnapshot) -> list[Ruling]:
        as_of = self._block if snapshot is self._newest else snapshot.closed_block
        current: dict[str, Standing] = {}
        for standing in snapshot.standings:
            if standing.result is None:
                continue
            held = current.setdefault(standing.hotkey, standing)
            if _made(standing) > _made(held):
                current[standing.hotkey] = standing
        return [
            Ruling(standing, *self._alone(standing, current.get(standing.hotkey), as_of))
            for standing in snapshot.standings
        ]

    def _alone(
        self, standing: Standing, current: Standing | None, as_of: int
    ) -> tuple[Verdict, str]:
        """The verdict on a submission apart from its family; the first that applies.

        ``current`` is the newest of its hotkey that this round scored.
        """
        barred = self._barred(standing)
        if barred is not None:
            return barred
        if standing.result is None or current is None:
            return "unscored", standing.reason or "it has no score in this round"
        if current is not standing:
            return "replaced", f"submission {current.submission_id} of its hotkey took its place"
        participant = self._registered[standing.hotkey]
        if _contradicted(standing, participant):
            return "contradicted", "the chain holds no such commitment of its hotkey"
        superseded = self._superseded_block(standing, participant)
        if superseded is not None and as_of > superseded + self._rules.replacement_grace:
            return "replaced", f"its hotkey committed something else at block {superseded}"
        return "competes", ""

    def _barred(self, standing: Standing) -> tuple[Verdict, str] | None:
        """Why a submission competes in no round at all."""
        if standing.hotkey not in self._registered:
            return "unregistered", "its hotkey is not registered"
        number = standing.submission_id
        latest = self._latest[number]
        if latest.state != "counts":
            return latest.state, latest.reason
        if number in self._excluded:
            return "excluded", "it failed this validator's audits"
        if number in self._originals:
            return "copy", f"its weights are nearly those of submission {self._originals[number]}"
        return None

    def _superseded_block(self, standing: Standing, participant: Participant) -> int | None:
        """Where its hotkey first committed something else, as far as rounds and chain tell."""
        blocks = [self._superseded.get(standing.submission_id)]
        if (
            participant.commitment_block is not None
            and participant.commitment_block > standing.evidence.block
            and participant.commitment != standing.evidence.commitment
        ):
            blocks.append(participant.commitment_block)
        return min((block for block in blocks if block is not None), default=None)

    def _first_successors(self) -> dict[int, int]:
        """By id: the block of the first commitment after it that the rounds tell of."""
        first: dict[int, int] = {}
        by_hotkey: dict[str, list[Standing]] = {}
        for standing in self._mentions:
            by_hotkey.setdefault(standing.hotkey, []).append(standing)
        for standing in self._mentions:
            made = _made(standing)
            blocks = [
                _made(other)[0] for other in by_hotkey[standing.hotkey] if _made(other) > made
            ]
            if standing.superseded_block is not None:
                blocks.append(standing.superseded_block)
            if blocks:
                number = standing.submission_id
                first[number] = min(*blocks, first.get(number, blocks[0]))
        return first

    def _first_appearances(
        self, rounds: Sequence[RoundSnapshot]
    ) -> dict[str, tuple[int, Priority]]:
        """By hotkey: the first round in which it could have competed, and with which priority."""
        first: dict[str, tuple[int, Priority]] = {}
        for snapshot in rounds:
            for ruling in self._each_by_itself(snapshot):
                if ruling.verdict == "competes":
                    entered = (snapshot.number, priority_of(ruling.standing, self._newest.seed))
                    first.setdefault(ruling.standing.hotkey, entered)
        return first

    def _coldkey(self, ruling: Ruling) -> str:
        return self._registered[ruling.standing.hotkey].coldkey

    def _entered(self, ruling: Ruling) -> tuple[int, Priority]:
        return self._first_seen[ruling.standing.hotkey]


def _made(standing: Standing) -> tuple[int, int]:
    """Orders the submissions of one hotkey: the block of the commitment, then the id."""
    return standing.evidence.block, standing.submission_id


def _contradicted(standing: Standing, participant: Participant) -> bool:
    """Whether the chain, which keeps the newest commitment, cannot have held this one."""
    if participant.commitment_block is None:
        return False
    if participant.commitment_block == standing.evidence.block:
        return participant.commitment not in {None, standing.evidence.commitment}
    return participant.commitment_block < standing.evidence.block


def _with_all_links(latest: Mapping[int, Standing], mentions: Sequence[Standing]) -> list[Standing]:
    """Each submission as last published, with the near copies that any round published of it."""
    links: dict[int, dict[int, object]] = {}
    for standing in mentions:
        seen = links.setdefault(standing.submission_id, {})
        seen.update({copy.submission_id: copy for copy in standing.near_copies})
    return [
        standing.model_copy(update={"near_copies": tuple(links[number].values())})
        for number, standing in sorted(latest.items())
    ]
