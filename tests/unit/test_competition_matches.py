"""One match: who wins, and by how much one must be better."""

from __future__ import annotations

from itertools import product

import pytest
from competition_rounds import RULES, Entry, standing
from hypothesis import given
from hypothesis import strategies as st

from scoring.competition.matches import defeats
from scoring.competition.records import RoundResult
from scoring.competition.resampling import SCORE_UNITS, Sample, prompt_units, resampled_sums
from scoring.contract import Interval

SEED = "5" * 64


def lost(*entries: Entry) -> dict[int, tuple[int, ...]]:
    return defeats([standing(entry, SEED) for entry in entries], seed=SEED, rules=RULES)


@pytest.mark.parametrize(
    ("lead", "winner"),
    [(0.2, "later"), (0.02, "later"), (0.009, "earlier"), (0.0, "earlier"), (-0.1, "earlier")],
)
@pytest.mark.parametrize("later_number", [1, 3])
def test_the_later_one_must_be_better_by_more_than_epsilon(
    lead: float, winner: str, later_number: int
) -> None:
    """Both speak with one voice, so that the difference is the same on every prompt."""
    earlier = Entry(number=2, block=10, quality=0.5, voice="v")
    later = Entry(number=later_number, block=20, quality=0.5 + lead, voice="v")
    loser = earlier if winner == "later" else later

    assert lost(earlier, later)[loser.number]


def test_a_lead_that_the_prompts_leave_in_doubt_does_not_win() -> None:
    earlier = Entry(number=1, block=10, quality=0.5)
    later = Entry(number=2, block=20, quality=0.512)

    assert lost(earlier, later) == {1: (), 2: (1,)}


@pytest.mark.parametrize(("later_score", "wins"), [(0.618, False), (0.619, True)])
def test_without_results_per_prompt_the_later_score_is_handicapped(
    later_score: float, wins: bool
) -> None:
    earlier = standing(Entry(number=1, block=10), SEED)
    later = standing(Entry(number=2, block=20), SEED)
    pair = [
        s.model_copy(update={"result": bare(score)})
        for s, score in ((earlier, 0.6), (later, later_score))
    ]

    assert bool(defeats(pair, seed=SEED, rules=RULES)[1]) is wins


def bare(score: float) -> RoundResult:
    interval = Interval(low=score, high=score)
    return RoundResult(score=score, interval=interval, wer=0.1, human_likeness=0.9)


def test_prompts_that_could_not_be_scored_count_as_nothing_and_the_mean_is_the_score() -> None:
    result = bare(0.4).model_copy(update={"prompt_scores": (0.5, None, 0.7, 1.0)})
    units = prompt_units(result)

    assert units[1] == 0
    assert sum(units) / 4 == pytest.approx(0.4 * SCORE_UNITS, abs=2)
    assert units[3] == pytest.approx(2 * units[0], abs=2)


def test_what_only_all_prompts_together_show_decides_too() -> None:
    """One recording for all prompts scores well on each and little over all."""
    whole = (0.9,) * 10
    repeated = bare(0.1).model_copy(update={"prompt_scores": whole})
    honest = bare(0.5).model_copy(update={"prompt_scores": (0.5,) * 10})
    earlier, later = (standing(Entry(number=n, block=n), SEED) for n in (1, 2))
    pair = [
        earlier.model_copy(update={"result": repeated}),
        later.model_copy(update={"result": honest}),
    ]

    assert defeats(pair, seed=SEED, rules=RULES) == {1: (2,), 2: ()}


def test_one_prompt_is_enough_to_compare() -> None:
    results = [bare(s).model_copy(update={"prompt_scores": (s,)}) for s in (0.5, 0.9)]
    pair = [
        standing(Entry(number=n, block=n), SEED).model_copy(update={"result": r})
        for n, r in enumerate(results)
    ]

    assert defeats(pair, seed=SEED, rules=RULES) == {0: (1,), 1: ()}


@given(
    st.integers(1, 6).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 10**12), min_size=width, max_size=width),
            min_size=1,
            max_size=5,
        )
    ),
    st.integers(0, 10**12),
)
def test_lanes_compare_as_plain_numbers_do(rows: list[list[int]], margin: int) -> None:
    sums = resampled_sums(rows, seed="s", resamples=20)
    samples = [Sample(row, margin=margin) for row in sums]

    for (mine, a), (theirs, b) in product(zip(sums, samples, strict=True), repeat=2):
        expected = sum(x - y > margin for x, y in zip(mine, theirs, strict=True))
        assert a.count_above(b) == expected


def test_resampling_is_a_bootstrap_of_the_mean() -> None:
    """The spread of resampled means is that of the values over the root of their number."""
    values = [0, 10] * 50
    means = [total / 100 for total in resampled_sums([values], seed="s", resamples=2_000)[0]]
    centre = sum(means) / len(means)
    spread = (sum((mean - centre) ** 2 for mean in means) / len(means)) ** 0.5

    assert centre == pytest.approx(5.0, abs=0.05)
    assert spread == pytest.approx(0.5, rel=0.1)


def test_rows_see_the_same_draws() -> None:
    first, second = resampled_sums([[1, 2, 3], [11, 12, 13]], seed="s", resamples=50)

    assert all(b - a == 30 for a, b in zip(first, second, strict=True))
