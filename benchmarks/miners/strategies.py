"""Ways to play. Each is a pure function of a miner's talent, the round, and what all can see.

A hotkey is named ``miner`` or ``miner/something``; a coldkey's name says what links it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

from benchmarks.miners.market import (
    CERTAIN,
    Commit,
    Model,
    Strategy,
    Submission,
    Talent,
    View,
    disguised,
    retrained,
)

EXTRA = 8
"""Further hotkeys of those who use many."""


def honest(talent: Talent, number: int, view: View) -> list[Commit]:
    """Submits what it has when that pays, from one hotkey.

    A new submission gives up the priority of the last one. So it must be better than that for
    certain, and whoever leads waits for a model that would beat everybody else's too.
    """
    return _submit(talent, talent.name, number, view)


def slow(talent: Talent, number: int, view: View) -> list[Commit]:
    """Honest, with what it had ten rounds before."""
    late = Talent(talent.name, {0: talent.releases[0]})
    late.releases.update({n + 10: quality for n, quality in talent.releases.items() if n})
    return honest(late, number, view)


def copy_instead(talent: Talent, number: int, view: View) -> list[Commit]:
    """Submits the leader's model as its own whenever it does not lead itself."""
    others = _others(talent, view)[:1]
    if not others or number % 10 or view.leaders[0].commit.hotkey == talent.name:
        return honest(talent, number, view)
    return [Commit(talent.name, talent.name, others[0].commit.model)]


def copy_besides(talent: Talent, number: int, view: View) -> list[Commit]:
    """Honest, and copies of the three best from three other coldkeys."""
    return honest(talent, number, view) + [
        Commit(f"{talent.name}/{i}", f"{talent.name}/{i}", other.commit.model)
        for i, other in enumerate(_others(talent, view)[:3])
        if number % 5 == 0
    ]


def disguised_copies(talent: Talent, number: int, view: View) -> list[Commit]:
    """Honest, and the three best with noise on their weights, from three other coldkeys."""
    return honest(talent, number, view) + [
        Commit(
            f"{talent.name}/{i}", f"{talent.name}/{i}", disguised(other.commit.model, f"{number}")
        )
        for i, other in enumerate(_others(talent, view)[:3])
        if number % 5 == 0
    ]


def many_hotkeys(talent: Talent, number: int, view: View) -> list[Commit]:
    """Retrains each model many times, and submits all from hotkeys of one coldkey."""
    chance = random.Random(f"{talent.name}:{number}")
    own = honest(talent, number, view)
    return own + [
        Commit(
            f"{talent.name}/{i}",
            talent.name,
            retrained(commit.model, f"{i}", chance.gauss(0.0, 0.01)),
        )
        for commit in own
        for i in range(EXTRA)
    ]


def many_coldkeys(talent: Talent, number: int, view: View) -> list[Commit]:
    """Submits each model again and again with noise on its weights, from many coldkeys."""
    own = honest(talent, number, view)
    return own + [
        Commit(f"{talent.name}/{i}", f"{talent.name}/{i}", disguised(commit.model, f"{i}"))
        for commit in own
        for i in range(EXTRA)
    ]


def weak_crowd(talent: Talent, number: int, view: View) -> list[Commit]:
    """Honest, and many cheap models of its own from coldkeys that nothing links."""
    own = honest(talent, number, view)
    return own + [
        Commit(f"{talent.name}/{i}", f"{talent.name}/{i}", retrained(commit.model, f"{i}", -0.15))
        for commit in own
        for i in range(EXTRA)
    ]


def lottery(talent: Talent, number: int, view: View) -> list[Commit]:
    """Trains its model a little on in every round, in the hope of a lucky draw of prompts."""
    del view
    model = retrained(talent.latest(number), f"{number}", 0.0)
    return [Commit(talent.name, talent.name, model)]


def griefing(talent: Talent, number: int, view: View) -> list[Commit]:
    """Honest, and rows of blends from one leader to the next, to make each a copy of the other."""
    leaders = _others(talent, view)[:3]
    commits = honest(talent, number, view)
    for i, (one, other) in enumerate(pairwise(leaders)):
        blend = disguised(one.commit.model, f"{number}")
        blend = replace(blend, near=(*blend.near, other.commit.model.identity))
        commits.append(Commit(f"{talent.name}/{i}", f"{talent.name}/{i}", blend))
    return commits


def parking(talent: Talent, number: int, view: View) -> list[Commit]:
    """Honest, and in every other round commits a successor that it never publishes."""
    own = honest(talent, number, view)
    if own or number % 2:
        return own
    never = retrained(talent.latest(number), "never", 0.0)
    return [Commit(talent.name, talent.name, never, published=False)]


def second_name(talent: Talent, number: int, view: View) -> list[Commit]:
    """No more work: what its first name waits to submit, an unlinked second one submits."""
    own = honest(talent, number, view)
    kept = _current(talent.name, view)
    latest = talent.latest(number)
    if own or kept is None or latest.identity == kept.identity:
        return own
    return _submit(talent, f"{talent.name}/b", number, view)


def double_effort(talent: Talent, number: int, view: View) -> list[Commit]:
    """Twice the work: every model is trained twice, and submitted under two unlinked names."""
    own = honest(talent, number, view)
    return own + [
        Commit(f"{talent.name}/b", f"{talent.name}/b", retrained(commit.model, "b", 0.0))
        for commit in own
    ]


def unnoticed_copy(talent: Talent, number: int, view: View) -> list[Commit]:
    """Honest, and a copy of the leader that no sketch finds, from another coldkey."""
    return honest(talent, number, view) + [
        Commit(
            f"{talent.name}/0",
            f"{talent.name}/0",
            replace(
                other.commit.model, identity=f"{other.commit.model.identity}!{number}", near=()
            ),
        )
        for other in _others(talent, view)[:1]
        if number % 5 == 0
    ]


CHEATS: dict[str, Strategy] = {
    "copies the leader": copy_instead,
    "copies beside its own": copy_besides,
    "disguised copies": disguised_copies,
    "many hotkeys, one coldkey": many_hotkeys,
    "one model, many coldkeys": many_coldkeys,
    "crowd of weak models": weak_crowd,
    "lottery": lottery,
    "griefing": griefing,
    "parked successors": parking,
}
"""What the rules are there to make worthless."""

OTHERS: dict[str, Strategy] = {"slow": slow}
"""Legitimate."""

UNSEEN: dict[str, Strategy] = {
    "second name, unlinked": second_name,
    "double effort, unlinked": double_effort,
    "copy that nobody noticed": unnoticed_copy,
}
"""What cannot be told from another miner: models of their own training, or luck with a copy."""


def _submit(talent: Talent, hotkey: str, number: int, view: View) -> list[Commit]:
    model, current = talent.latest(number), _current(hotkey, view)
    if current is not None:
        leads = view.leaders[0].commit.hotkey == hotkey
        rivals = [s.commit.model.quality for s in view.leaders[1:]]
        bar = max([current.quality, *(rivals if leads else [])])
        if model.quality < bar + CERTAIN:
            return []
    elif view.leaders and number not in talent.releases:
        return []
    return [Commit(hotkey, hotkey, model)]


def _current(hotkey: str, view: View) -> Model | None:
    return next((s.commit.model for s in view.leaders if s.commit.hotkey == hotkey), None)


def _others(talent: Talent, view: View) -> list[Submission]:
    return [s for s in view.leaders if s.commit.hotkey.partition("/")[0] != talent.name]
