"""Errors that people are met with too cost nothing; all beyond them count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.asr.load import load_recogniser
from scoring.contract import AsrInfo, AsrSpec, Prompt, Sample, WordErrors
from scoring.tts.human_floor import floor_of, joint_floor, load_floors, wer_for_score
from scoring.tts.total import aggregate, sample_score

wers = st.floats(0.0, 5.0)
floors = st.floats(0.0, 0.9)
UNKNOWN = AsrInfo(engine="ctc", model="x", version="1", digest="0" * 64, rehearsal=False)


@given(wers, wers, floors)
def test_more_errors_never_count_less(one: float, other: float, floor: float) -> None:
    low, high = sorted((one, other))

    assert 0.0 <= wer_for_score(low, floor) <= wer_for_score(high, floor) <= 1.0


@given(floors, st.floats(0.0, 1.0))
def test_nothing_is_gained_below_the_floor(floor: float, share: float) -> None:
    assert wer_for_score(share * floor, floor) == 0.0
    assert wer_for_score(1.0, floor) == 1.0


@given(st.lists(wers, min_size=1, max_size=9), floors)
def test_many_rates_count_as_each_alone(rates: list[float], floor: float) -> None:
    together = wer_for_score(np.array(rates), floor)

    assert together.tolist() == [wer_for_score(rate, floor) for rate in rates]


def test_sample_and_evaluation_share_the_floor_and_report_the_raw_rate() -> None:
    def sample(edits: int) -> Sample:
        return Sample(
            prompt=Prompt(index=edits, text="a line", description="a voice"),
            outcome="scored",
            errors=WordErrors(substitutions=edits, deletions=0, insertions=0, words=100),
            human_likeness=0.5,
        )

    at_the_floor = aggregate([sample(4), sample(6)], seed=0, floor=0.05)
    beyond = aggregate([sample(14), sample(16)], seed=0, floor=0.05)

    assert at_the_floor.wer == 0.05
    assert at_the_floor.score == sample_score(0.05, 0.5, floor=0.05) == 0.5
    assert beyond.score == pytest.approx(0.5 * (1.0 - 0.1 / 0.95))
    assert beyond.wer_interval is not None
    assert beyond.wer_interval.low <= beyond.wer <= beyond.wer_interval.high


def test_a_raw_rate_above_one_keeps_its_interval() -> None:
    prompt = Prompt(index=0, text="a line", description="a voice")
    errors = WordErrors(substitutions=2, deletions=0, insertions=4, words=2)
    sample = Sample(prompt=prompt, outcome="scored", errors=errors, human_likeness=1.0)

    total = aggregate([sample], seed=0)

    assert total.wer == 3.0
    assert total.wer_interval is not None
    assert total.wer_interval.high == 3.0
    assert total.score == 0.0


def test_the_packaged_recogniser_was_measured_on_people() -> None:
    floor = floor_of(load_recogniser(AsrSpec(), device="cpu").info)

    assert floor is not None
    assert 0.0 < floor < 0.1


def test_a_recogniser_that_nobody_measured_has_no_floor_and_lowers_none() -> None:
    measured = load_floors().floors[0]
    known = UNKNOWN.model_copy(update={"digest": measured.digest})

    assert floor_of(UNKNOWN) is None
    assert joint_floor([UNKNOWN]) == 0.0
    assert joint_floor([known, UNKNOWN]) == measured.wer


def test_every_floor_follows_from_the_counts_it_names() -> None:
    for floor in load_floors().floors:
        edits = sum(source.edits for source in floor.sources)
        words = sum(source.words for source in floor.sources)
        assert floor.wer == pytest.approx(edits / words, abs=1e-4)
        assert floor.interval.low <= floor.wer <= floor.interval.high
