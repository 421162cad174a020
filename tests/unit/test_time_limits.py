"""How long an evaluation may take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice_validation_api.time_limits import Pace, wall_limit

RULES = {"factor": 10.0, "floor_seconds": 300.0, "cap_seconds": 3_600.0}
seconds = st.floats(0.001, 10_000)
prompts = st.integers(1, 10_000)


def test_before_the_base_model_was_measured_the_limit_is_the_cap() -> None:
    assert wall_limit(None, 20, **RULES) == 3_600.0


def test_the_limit_is_so_many_times_what_the_base_model_would_take() -> None:
    assert wall_limit(Pace(12.0, 4), 20, **RULES) == 600.0


def test_a_fast_machine_has_the_floor_and_a_slow_one_the_cap() -> None:
    assert wall_limit(Pace(1.0, 4), 20, **RULES) == 300.0
    assert wall_limit(Pace(500.0, 4), 20, **RULES) == 3_600.0


def test_fewer_prompts_than_the_canarys_take_no_less_than_it_did() -> None:
    assert wall_limit(Pace(60.0, 4), 1, **RULES) == 600.0


@given(seconds, prompts, prompts, seconds)
def test_a_slower_machine_and_more_prompts_never_shorten_the_limit(
    took: float, spoken: int, asked: int, more: float
) -> None:
    limit = wall_limit(Pace(took, spoken), asked, **RULES)
    assert RULES["floor_seconds"] <= limit <= RULES["cap_seconds"]
    assert wall_limit(Pace(took + more, spoken), asked, **RULES) >= limit
    assert wall_limit(Pace(took, spoken), asked + 1, **RULES) >= limit
