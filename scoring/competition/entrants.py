"""Who is scored in the next round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scoring.competition.records import Participant, Weights
from scoring.competition.rounds import RoundTimes, may_enter
from scoring.competition.rules import Rules


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An admitted submission that no round has scored yet."""

    submission_id: int
    hotkey: str
    commit_block: int
    pinned_block: int


@dataclass(frozen=True)
class Entrants:
    """Ids of submissions: the best so far, best first, and the new ones, first come first."""

    best: tuple[int, ...]
    new: tuple[int, ...]


def next_round_entrants(
    decided: Weights | None,
    candidates: Sequence[Candidate],
    *,
    chain: Sequence[Participant],
    rules: Rules,
    times: RoundTimes,
) -> Entrants:
    """Those who take part in the round of ``times``.

    ``decided`` are the weights at its start, None before there are any; ``chain`` is as of then.
    The best are the ``top_k`` of the newest round with the fewest lost matches. Of the candidates
    that were pinned in time, each coldkey enters one: the newest of the hotkey that competes for
    it already, else the one pinned first. More would cost evaluations and could not be paid.
    """
    competing = [e for e in decided.explanations if e.verdict == "competes"] if decided else []
    coldkeys = {participant.hotkey: participant.coldkey for participant in chain}
    heads = {coldkeys[e.hotkey]: e.hotkey for e in competing if e.hotkey in coldkeys}
    ranked = sorted(competing, key=lambda e: (len(e.lost_to), e.submission_id))
    best = tuple(explanation.submission_id for explanation in ranked[: rules.top_k])
    return Entrants(best, _new(candidates, coldkeys, heads, times))


def _new(
    candidates: Sequence[Candidate],
    coldkeys: dict[str, str],
    heads: dict[str, str],
    times: RoundTimes,
) -> tuple[int, ...]:
    newest: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: (c.commit_block, c.submission_id)):
        if candidate.hotkey in coldkeys and may_enter(candidate.pinned_block, times):
            newest[candidate.hotkey] = candidate
    chosen: dict[str, Candidate] = {}
    for candidate in sorted(newest.values(), key=lambda c: (c.pinned_block, c.submission_id)):
        coldkey = coldkeys[candidate.hotkey]
        if heads.get(coldkey, candidate.hotkey) == candidate.hotkey:
            chosen.setdefault(coldkey, candidate)
    return tuple(candidate.submission_id for candidate in chosen.values())
