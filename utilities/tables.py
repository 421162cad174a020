"""Tables that people read: one evaluation sample by sample, and a ranking of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scoring.competition import tied_ranks
from scoring.contract import Aggregate, TtsResult


@dataclass(frozen=True)
class Row:
    """One line of a ranking. ``aggregate`` is None where there is no score."""

    name: str
    status: str
    aggregate: Aggregate | None


def sample_table(result: TtsResult) -> Table:
    """One row per prompt: what was asked, what was heard, how it scored."""
    table = Table(title="Samples", show_lines=True)
    table.add_column("#", justify="right")
    table.add_column("asked", ratio=3)
    table.add_column("heard", ratio=3)
    for heading in ("seconds", "WER", "human likeness", "score"):
        table.add_column(heading, justify="right")
    for sample in result.samples:
        heard = sample.transcript if sample.outcome == "scored" else f"unscored: {sample.reason}"
        cut = " (cut)" if sample.truncated else ""
        table.add_row(
            str(sample.prompt.index),
            Text(sample.prompt.text),
            Text(heard or "(nothing)"),
            "-" if sample.seconds is None else f"{sample.seconds:.1f}{cut}",
            _number(sample.wer),
            _number(sample.human_likeness),
            _number(sample.score),
        )
    return table


def ranking_table(title: str, rows: Sequence[Row]) -> Table:
    """Rows sorted by score, ranked; entries whose intervals overlap share a rank."""
    table = Table(title=title)
    table.add_column("rank", justify="right")
    table.add_column("name", overflow="fold")
    table.add_column("status")
    table.add_column("score (95 % interval)", justify="right")
    table.add_column("WER", justify="right")
    table.add_column("human likeness", justify="right")
    ranks = tied_ranks([row.aggregate.interval if row.aggregate else None for row in rows])
    for rank, row in zip(ranks, rows, strict=True):
        table.add_row(
            "-" if rank is None else str(rank),
            Text(row.name),
            row.status,
            "-" if row.aggregate is None else score_text(row.aggregate),
            "-" if row.aggregate is None else _number(row.aggregate.wer),
            "-" if row.aggregate is None else _number(row.aggregate.human_likeness),
        )
    return table


def listing(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows of plain text under their headings; nothing in them is taken for markup."""
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def score_text(aggregate: Aggregate) -> str:
    """The score with its interval."""
    interval = aggregate.interval
    return f"{aggregate.score:.3f} ({interval.low:.3f}-{interval.high:.3f})"


def total(result: TtsResult) -> RenderableType:
    """The outcome of one evaluation in a few lines."""
    aggregate = result.aggregate
    if aggregate is None:
        failure = result.failure
        return Text(f"{result.status}: {failure.message if failure else 'no reason given'}")
    lines = [
        Text(f"score           {score_text(aggregate)}", style="bold"),
        Text(f"WER             {aggregate.wer:.3f}"),
        Text(f"human likeness  {aggregate.human_likeness:.3f}"),
        Text(f"prompts         {aggregate.scored} scored, {aggregate.unscored} unscored"),
    ]
    if result.synthesiser is not None and result.synthesiser.weights_digest:
        lines.append(Text(f"weights digest  {result.synthesiser.weights_digest}"))
    lines += [Text(f"note: {warning}", style="yellow") for warning in result.warnings]
    return Group(*lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
