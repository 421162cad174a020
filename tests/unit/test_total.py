"""The total score, per sample and over an evaluation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.contract import Prompt, Sample, WordErrors
from scoring.metrics.across_prompts import AcrossPrompts
from scoring.metrics.human_reference import load_reference
from scoring.tts.total import across_factor, aggregate, sample_score

unit = st.floats(0, 1)


def sample(index: int, *, likeness: float | None, edits: int, words: int = 10) -> Sample:
    return Sample(
        prompt=Prompt(index=index, text="a line", description="a voice"),
        outcome="unscored" if likeness is None else "scored",
        errors=WordErrors(substitutions=edits, deletions=0, insertions=0, words=words),
        human_likeness=likeness,
    )


@given(unit, unit, unit)
def test_the_score_increases_with_likeness_and_falls_with_errors(a: float, b: float, c: float):
    low, high = sorted((a, b))

    assert sample_score(c, low) <= sample_score(c, high)
    assert sample_score(high, c) <= sample_score(low, c)


@pytest.mark.parametrize(("wer", "likeness"), [(1.0, 0.9), (3.5, 0.9), (0.0, 0.0)])
def test_the_score_is_zero_when_either_part_is_hopeless(wer: float, likeness: float):
    assert sample_score(wer, likeness) == 0.0


def test_corpus_wer_weighs_by_words_not_by_samples():
    total = aggregate(
        [
            sample(0, likeness=1.0, edits=1, words=1),
            sample(1, likeness=1.0, edits=0, words=9),
        ],
        seed=0,
    )

    assert total.wer == pytest.approx(0.1)
    assert total.score == pytest.approx(0.9)


def test_an_unscored_prompt_is_never_better_than_a_bad_one():
    bad = aggregate([sample(0, likeness=0.9, edits=0), sample(1, likeness=0.1, edits=9)], seed=0)
    refused = aggregate(
        [sample(0, likeness=0.9, edits=0), sample(1, likeness=None, edits=10)], seed=0
    )

    assert refused.score < bad.score
    assert (refused.scored, refused.unscored) == (1, 1)


@given(
    st.lists(st.tuples(unit, st.integers(0, 30), st.integers(1, 20)), min_size=1, max_size=20),
    st.integers(0, 2**63 - 1),
)
def test_the_interval_holds_the_score_and_repeats_with_the_seed(
    parts: list[tuple[float, int, int]], seed: int
):
    samples = [sample(i, likeness=h, edits=e, words=w) for i, (h, e, w) in enumerate(parts)]

    first, second = aggregate(samples, seed=seed), aggregate(samples, seed=seed)

    assert first == second
    assert first.interval.low <= first.score <= first.interval.high


def test_more_prompts_narrow_the_interval():
    few = [sample(i, likeness=0.5 + 0.4 * (i % 2), edits=i % 3) for i in range(10)]
    many = [sample(i, likeness=0.5 + 0.4 * (i % 2), edits=i % 3) for i in range(400)]

    def width(samples: list[Sample]) -> float:
        interval = aggregate(samples, seed=1).interval
        return interval.high - interval.low

    assert width(many) < width(few) / 3


# Across prompts


def across(**values: float | None) -> AcrossPrompts:
    untold: dict[str, float | None] = {"voices": None, "follows_description": None}
    return AcrossPrompts(**{"distinct": 1.0, "by_axis": {}, **untold, **values})


@given(unit, unit)
def test_the_score_increases_with_each_part_across_prompts(a: float, b: float):
    low, high = sorted((a, b))

    for part in ("distinct", "voices", "follows_description"):
        assert across_factor(across(**{part: low})) <= across_factor(across(**{part: high}))


def test_what_the_prompts_cannot_tell_takes_nothing_off():
    assert across_factor(across()) == 1.0


def test_voices_and_descriptions_weigh_little_and_copies_weigh_all():
    assert across_factor(across(voices=0.0, follows_description=0.0)) > 0.9
    assert across_factor(across(distinct=0.1)) == pytest.approx(0.1)


def test_one_recording_for_all_prompts_is_worth_one_prompt():
    measures = {name: s.median for name, s in load_reference().statistics.items()}
    samples = [
        Sample(
            prompt=Prompt(index=i, text=f"line {i}", description="a voice"),
            outcome="scored",
            errors=WordErrors(substitutions=0, deletions=0, insertions=0, words=2),
            human_likeness=1.0,
            components=measures,
        )
        for i in range(10)
    ]

    total = aggregate(samples, seed=0)
    assert total.score == pytest.approx(0.1)
    assert total.components["distinct"] == pytest.approx(0.1)
