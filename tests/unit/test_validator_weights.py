"""From shares to weights by uid, and when they are due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.validator_weights import (
    WEIGHTS_VERSION,
    NobodyToWeighError,
    ValidatorOutdatedError,
    check_version,
    due_block,
    parts_by_hotkey,
    weights_by_uid,
)
from scoring.competition import WEIGHT_UNITS, Share, Weights
from utilities.chain import Metagraph, Neuron, SubnetRules

RULES = SubnetRules(tempo=360, activity_cutoff=5_000, weights_rate_limit=100, weights_version=0)


def metagraph(*hotkeys: str, owner: str = "owner") -> Metagraph:
    neurons = tuple(
        Neuron(uid, hotkey, f"cold-{hotkey}", 0.0, False, 0, 0)
        for uid, hotkey in enumerate(hotkeys)
    )
    return Metagraph(231, 100, neurons, RULES, owner)


def weighed(units: dict[str, int], burned: int = 0) -> Weights:
    shares = tuple(
        Share(hotkey=hotkey, win_rate=None, units=part, weight=part / WEIGHT_UNITS)
        for hotkey, part in units.items()
    )
    return Weights(
        competition_id="tts",
        block=100,
        rounds=(),
        shares=shares,
        burned_units=burned,
        explanations=(),
    )


def test_zeroes_are_left_out() -> None:
    parts = parts_by_hotkey(weighed({"a": WEIGHT_UNITS, "b": 0}), metagraph("a", "b"))
    assert parts == {"a": 1.0}


def test_what_is_burned_goes_to_the_owner() -> None:
    units = weighed({"a": 40_000}, burned=25_535)
    parts = parts_by_hotkey(units, metagraph("a", "owner"))
    assert parts == {"a": 40_000 / WEIGHT_UNITS, "owner": 25_535 / WEIGHT_UNITS}
    both = parts_by_hotkey(weighed({"owner": 40_000}, burned=25_535), metagraph("owner"))
    assert both == {"owner": pytest.approx(1.0)}
    with pytest.raises(NobodyToWeighError, match="owner hotkey owner is not registered"):
        parts_by_hotkey(units, metagraph("a"))


def test_uids_are_those_of_now() -> None:
    assert weights_by_uid({"a": 0.7, "b": 0.2, "gone": 0.1}, metagraph("b", "new", "a")) == {
        0: 0.2,
        2: 0.7,
    }
    with pytest.raises(NobodyToWeighError, match="none of the 1 hotkeys"):
        weights_by_uid({"gone": 1.0}, metagraph("a"))


def test_a_subnet_that_asks_for_more_is_told_before_anything_is_sent() -> None:
    check_version(RULES)
    newer = SubnetRules(360, 5_000, 100, WEIGHTS_VERSION + 1)
    with pytest.raises(ValidatorOutdatedError, match="asks for weights version"):
        check_version(newer)


@given(
    last_set=st.integers(1, 10**8),
    cutoff=st.integers(1, 65_535),
    limit=st.integers(0, 65_535),
)
def test_fresh_weights_wait_for_the_rate_limit_and_old_ones_for_half_the_cutoff(
    last_set: int, cutoff: int, limit: int
) -> None:
    rules = SubnetRules(360, cutoff, limit, 0)
    fresh, old = (due_block(last_set, rules, fresh=fresh) for fresh in (True, False))
    assert fresh == last_set + limit <= old
    if limit <= cutoff // 2:
        assert old - last_set <= cutoff // 2


def test_whoever_never_set_weights_sets_them_now() -> None:
    assert due_block(0, RULES, fresh=False) == due_block(0, RULES, fresh=True) == 0
