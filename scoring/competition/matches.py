"""Every pair of contenders meets once: the later one wins only if it is better for certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations

from scoring.competition.priority import priority_of
from scoring.competition.records import RoundResult, Standing
from scoring.competition.resampling import (
    SCORE_UNITS,
    Sample,
    prompt_units,
    resampled_sums,
)
from scoring.competition.rules import Rules


def defeats(
    contenders: Sequence[Standing], *, seed: str, rules: Rules
) -> dict[int, tuple[int, ...]]:
    """For each contender, by id, the ids of those who beat it, in the order of their priority.

    Of each pair the outcome depends on these two, the seed and the rules, and on nobody else.
    ``seed`` is that of the round in which all were scored.
    """
    ordered = sorted(contenders, key=lambda standing: priority_of(standing, seed))
    results = {s.submission_id: s.result for s in ordered if s.result is not None}
    samples = _samples(results, seed, rules)
    lost: dict[int, list[int]] = {number: [] for number in results}
    for earlier, later in combinations(results, 2):
        if earlier in samples and later in samples:
            later_wins = _certainly_better(samples[later], samples[earlier], rules)
        else:
            later_wins = _better_with_handicap(results[later], results[earlier], rules)
        winner, loser = (later, earlier) if later_wins else (earlier, later)
        lost[loser].append(winner)
    return {number: tuple(winners) for number, winners in lost.items()}


def _samples(results: Mapping[int, RoundResult], seed: str, rules: Rules) -> dict[int, Sample]:
    rows = {number: prompt_units(r) for number, r in results.items() if r.prompt_scores}
    if not rows:
        return {}
    sums = resampled_sums(list(rows.values()), seed=seed, resamples=rules.resamples)
    prompts = len(next(iter(rows.values())))
    margin = int(rules.epsilon * SCORE_UNITS * prompts)
    return {number: Sample(row, margin=margin) for number, row in zip(rows, sums, strict=True)}


def _certainly_better(later: Sample, earlier: Sample, rules: Rules) -> bool:
    """Whether the lower end of the interval of the mean paired difference exceeds epsilon.

    The end is the value with ``floor(resamples * (1 - confidence) / 2)`` smaller ones.
    """
    allowed = int(rules.resamples * (1 - rules.confidence) / 2)
    return later.count_above(earlier) >= rules.resamples - allowed


def _better_with_handicap(later: RoundResult, earlier: RoundResult, rules: Rules) -> bool:
    reduced = Fraction(later.score) * (1 - Fraction(rules.handicap))
    return reduced > Fraction(earlier.score)
