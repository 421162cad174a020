"""Weights from published rounds and the chain: a pure function, the same for everyone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from scoring.competition.counting import Referee, Ruling
from scoring.competition.history import linked_rounds
from scoring.competition.matches import defeats
from scoring.competition.records import (
    WEIGHT_UNITS,
    Explanation,
    Participant,
    PreviousRound,
    RoundSnapshot,
    Share,
    Weights,
)
from scoring.competition.rules import Rules
from scoring.competition.shares import in_units, moving_average, round_shares, win_rate

_BURN = ""  # no hotkey is empty


@dataclass(frozen=True)
class _Outcome:
    """One round, decided: win rates and shares by hotkey, and by id who lost to whom."""

    rulings: Sequence[Ruling]
    lost_to: Mapping[int, tuple[int, ...]]
    win_rates: Mapping[str, Fraction]
    shares: Mapping[str, Fraction]


def weights(
    snapshots: Sequence[RoundSnapshot],
    *,
    chain: Sequence[Participant],
    rules: Rules,
    block: int,
    excluded: Collection[int] = (),
) -> Weights:
    """Everybody's weight at ``block``.

    ``snapshots`` must reach back ``rules.window`` rounds or to the first one; ``chain`` holds the
    hotkeys registered at ``block``; ``excluded`` are ids of submissions that the validator's own
    audits exclude. Raises RoundsUnusableError when snapshots are missing, contradict each other, or
    lie in the future.
    """
    rounds = linked_rounds(snapshots, rules=rules, block=block)
    referee = Referee(rounds, chain=chain, rules=rules, block=block, excluded=excluded)
    outcomes = {snapshot.number: _outcome(referee, snapshot, rules) for snapshot in rounds}
    last = rounds[-1]
    newest = outcomes[last.number]
    average = moving_average({n: o.shares for n, o in outcomes.items()}, rules)
    units = _dealt(average, rules)
    burned = units.pop(_BURN)
    shares = [
        Share(
            hotkey=hotkey,
            win_rate=float(newest.win_rates[hotkey]) if hotkey in newest.win_rates else None,
            units=units.get(hotkey, 0),
            weight=units.get(hotkey, 0) / WEIGHT_UNITS,
        )
        for hotkey in {**units, **newest.win_rates}
    ]
    return Weights(
        competition_id=last.competition_id,
        block=block,
        rounds=(*_named_by_next(rounds), PreviousRound(number=last.number, digest=last.digest)),
        shares=tuple(sorted(shares, key=lambda s: (-s.units, -(s.win_rate or 0.0), s.hotkey))),
        burned_units=burned,
        explanations=tuple(_explanation(r, newest.lost_to) for r in newest.rulings),
    )


def _named_by_next(rounds: Sequence[RoundSnapshot]) -> list[PreviousRound]:
    return [snapshot.previous for snapshot in rounds[1:] if snapshot.previous is not None]


def _outcome(referee: Referee, snapshot: RoundSnapshot, rules: Rules) -> _Outcome:
    rulings = referee.rulings(snapshot)
    contenders = [ruling.standing for ruling in rulings if ruling.verdict == "competes"]
    lost_to = defeats(contenders, seed=snapshot.seed, rules=rules)
    lost = {standing.hotkey: len(lost_to[standing.submission_id]) for standing in contenders}
    win_rates = {
        hotkey: win_rate(count, contenders=len(lost), rules=rules) for hotkey, count in lost.items()
    }
    return _Outcome(rulings, lost_to, win_rates, round_shares(lost, rules))


def _dealt(average: Mapping[str, Fraction], rules: Rules) -> dict[str, int]:
    """Units by hotkey, and under ``_BURN`` those that nobody gets."""
    paid = 1 - Fraction(rules.burn_share) if average else Fraction(0)
    return in_units({hotkey: part * paid for hotkey, part in average.items()} | {_BURN: 1 - paid})


def _explanation(ruling: Ruling, lost_to: Mapping[int, tuple[int, ...]]) -> Explanation:
    standing = ruling.standing
    return Explanation(
        submission_id=standing.submission_id,
        hotkey=standing.hotkey,
        verdict=ruling.verdict,
        reason=ruling.reason,
        lost_to=lost_to.get(standing.submission_id, ()),
    )
