"""Two-sided comparison with people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.metrics.human_reference import Statistic
from scoring.metrics.typicality import excess, typicality

RANGE = Statistic(q05=-1.0, median=0.0, q95=2.0)
values = st.floats(-1e6, 1e6)


@given(st.floats(-1.0, 2.0))
def test_whoever_is_within_the_range_of_people_loses_nothing(value: float) -> None:
    assert typicality(["x"], {"x": value}, {"x": RANGE}) == pytest.approx(1.0)


@given(values, values)
def test_further_outside_is_never_more_typical(a: float, b: float) -> None:
    near, far = sorted((a, b), key=lambda x: excess("x", x, RANGE))

    assert 0.0 < typicality(["x"], {"x": far}, {"x": RANGE}) <= 1.0
    assert typicality(["x"], {"x": far}, {"x": RANGE}) <= typicality(
        ["x"], {"x": near}, {"x": RANGE}
    )


def test_each_side_has_its_own_unit() -> None:
    assert excess("x", -2.0, RANGE) == pytest.approx(excess("x", 4.0, RANGE)) == pytest.approx(1.0)
    assert typicality(["x"], {"x": 4.0}, {"x": RANGE}) == pytest.approx(1.0 / 3.0)


def test_a_count_that_most_people_have_none_of_may_be_none() -> None:
    counts = Statistic(q05=0.0, median=0.0, q95=1.0)

    assert excess("x", 0.0, counts) == 0.0
    assert excess("x", 3.0, counts) > excess("x", 2.0, counts) > 0.0


def test_what_could_not_be_measured_says_nothing() -> None:
    statistics = {"x": RANGE, "y": RANGE}

    both = typicality(["x", "y"], {"x": 5.0, "y": 0.0}, statistics)
    assert typicality(["x", "y"], {"x": 5.0}, statistics) == both


@pytest.mark.parametrize(
    ("name", "harmless", "fault"), [("repetition", -9.0, 9.0), ("noise_floor", 9.0, -9.0)]
)
def test_some_measures_are_wrong_on_one_side_only(name: str, harmless: float, fault: float) -> None:
    assert excess(name, harmless, RANGE) == 0.0
    assert excess(name, fault, RANGE) > 0.0
