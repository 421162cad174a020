"""The ranking as people read it: everybody's score, win rate and weight, and why some have none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from neurons.validator_scores import Scores
from scoring.competition import Explanation, Share, Standing, Weights
from utilities.chain import Metagraph


@dataclass(frozen=True)
class Line:
    """One submission. ``rank`` is None for those that do not compete."""

    rank: int | None
    uid: int | None
    hotkey: str
    repo: str
    score: float | None = None
    wer: float | None = None
    human_likeness: float | None = None
    win_rate: float | None = None
    weight: float | None = None
    note: str = ""


def ranking(weights: Weights, scores: Scores, metagraph: Metagraph) -> list[Line]:
    """Those that compete, by weight and win rate, and then the others."""
    shares = {share.hotkey: share for share in weights.shares}
    standings = {s.submission_id: s for s in scores.newest.standings}
    uids = {neuron.hotkey: neuron.uid for neuron in metagraph.neurons}
    competing = [e for e in weights.explanations if e.verdict == "competes"]
    others = [e for e in weights.explanations if e.verdict != "competes"]
    competing.sort(key=lambda e: _place(shares.get(e.hotkey), standings[e.submission_id]))
    lines = [
        _line(standings[e.submission_id], e, scores, uids, rank, shares.get(e.hotkey))
        for rank, e in enumerate(competing, start=1)
    ]
    lines += [_line(standings[e.submission_id], e, scores, uids) for e in others]
    shown = {explanation.hotkey for explanation in competing}
    lines += [
        Line(None, uids.get(s.hotkey), s.hotkey, "", weight=s.weight, note="from earlier rounds")
        for s in weights.shares
        if s.units > 0 and s.hotkey not in shown
    ]
    lines += [
        Line(None, uids.get(d.hotkey), d.hotkey, d.repo, note=d.reason) for d in scores.dropped
    ]
    return lines


def ranking_table(title: str, lines: Iterable[Line]) -> Table:
    """The lines as a table for a terminal."""
    table = Table(title=title)
    for heading in ("rank", "uid"):
        table.add_column(heading, justify="right")
    table.add_column("hotkey", overflow="fold")
    table.add_column("repo", overflow="fold")
    for heading in ("score", "WER", "likeness", "win rate", "weight"):
        table.add_column(heading, justify="right")
    table.add_column("note", overflow="fold")
    for line in lines:
        numbers = (line.score, line.wer, line.human_likeness, line.win_rate, line.weight)
        table.add_row(
            "-" if line.rank is None else str(line.rank),
            "-" if line.uid is None else str(line.uid),
            _text(line.hotkey),
            _text(line.repo),
            *("-" if number is None else f"{number:.4f}" for number in numbers),
            _text(line.note),
        )
    return table


def _line(
    standing: Standing,
    explanation: Explanation,
    scores: Scores,
    uids: dict[str, int],
    rank: int | None = None,
    share: Share | None = None,
) -> Line:
    result, repository = standing.result, standing.repository
    reason = scores.excluded.get(standing.submission_id, explanation.reason)
    note = reason if rank is not None else f"{explanation.verdict}: {reason}"
    return Line(
        rank=rank,
        uid=uids.get(standing.hotkey),
        hotkey=standing.hotkey,
        repo=f"{repository.namespace}/{repository.name}",
        score=None if result is None else result.score,
        wer=None if result is None else result.wer,
        human_likeness=None if result is None else result.human_likeness,
        win_rate=None if share is None else share.win_rate,
        weight=None if share is None else share.weight,
        note=note,
    )


def _place(share: Share | None, standing: Standing) -> tuple[float, float, float, str]:
    """Sorts the best first."""
    score = standing.result.score if standing.result else 0.0
    if share is None:
        return 0.0, 0.0, -score, standing.hotkey
    return -share.weight, -(share.win_rate or 0.0), -score, standing.hotkey


def _text(text: str) -> Text:
    """Somebody else's words, without what would command a terminal."""
    return Text("".join(letter if letter.isprintable() else "?" for letter in text))
