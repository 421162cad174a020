"""From lost matches to units."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from competition_rounds import RULES, Entry, units, weigh
from hypothesis import given
from hypothesis import strategies as st

from scoring.competition import WEIGHT_UNITS, Rules
from scoring.competition.shares import in_units, moving_average, round_shares, win_rate


def test_shares_are_a_softmax_of_win_rates() -> None:
    lost = {"a": 0, "b": 1, "c": 2}
    shares = round_shares(lost, RULES)
    rates = {key: win_rate(count, contenders=3, rules=RULES) for key, count in lost.items()}
    values = {key: math.exp(float(rate) / 0.03) for key, rate in rates.items()}

    for key, value in values.items():
        assert float(shares[key]) == pytest.approx(value / sum(values.values()), rel=1e-12)


def test_whoever_is_far_behind_the_best_is_not_paid_at_all() -> None:
    assert round_shares({"a": 0, "b": 3}, RULES) == {"a": Fraction(1)}


def test_who_is_best_is_paid_however_often_everybody_lost() -> None:
    assert round_shares({"a": 40, "b": 40, "c": 43}, RULES).keys() == {"a", "b"}


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 300), max_size=40))
def test_shares_of_a_round_sum_to_one_and_fewer_losses_never_earn_less(
    lost: dict[str, int],
) -> None:
    shares = round_shares(lost, RULES)

    assert sum(shares.values()) == (1 if lost else 0)
    ordered = [shares.get(key, Fraction(0)) for key in sorted(lost, key=lambda key: lost[key])]
    assert ordered == sorted(ordered, reverse=True)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=40))
def test_units_sum_and_are_the_nearest_below_or_above(numerators: list[int]) -> None:
    total = sum(numerators)
    parts = {str(index): Fraction(n, total) for index, n in enumerate(numerators)}
    dealt = in_units(parts)

    assert sum(dealt.values()) == WEIGHT_UNITS
    assert all(abs(dealt[key] - part * WEIGHT_UNITS) < 1 for key, part in parts.items())


def test_each_older_round_counts_half_and_rounds_without_shares_not_at_all() -> None:
    a, b = {"a": Fraction(1)}, {"b": Fraction(1)}

    assert moving_average({5: a, 6: b}, RULES) == {"a": Fraction(1, 3), "b": Fraction(2, 3)}
    assert moving_average({4: a, 6: b}, RULES) == {"a": Fraction(1, 5), "b": Fraction(4, 5)}
    assert moving_average({5: a, 6: {}}, RULES) == a
    assert moving_average({5: {}}, RULES) == {}


def test_where_nobody_competes_all_is_burned() -> None:
    decided = weigh([[Entry(number=1, quality=None)]])

    assert decided.burned_units == WEIGHT_UNITS
    assert decided.shares == ()


def test_a_part_may_always_be_burned() -> None:
    rules = Rules(**{**vars(RULES), "burn_share": RULES.epsilon * 25})
    decided = weigh([[Entry(number=1)]], rules=rules)

    assert decided.burned_units == round(WEIGHT_UNITS / 4)
    assert decided.shares[0].units == WEIGHT_UNITS - decided.burned_units


def test_a_new_best_model_takes_over_within_a_few_rounds() -> None:
    old, new = Entry(number=1, quality=0.5), Entry(number=2, quality=0.7, block=200)
    courses = [weigh([[old]] + [[old, new]] * rounds) for rounds in range(4)]
    newcomer = [units(decided).get(new.owner, 0) / WEIGHT_UNITS for decided in courses]

    assert newcomer[0] == 0
    assert newcomer == sorted(newcomer)
    assert newcomer[3] > 0.8
