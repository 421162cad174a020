"""Token buckets: how often a caller gets through, and what remembering it costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_validation_api.rates import BURST_SECONDS, RateLimiter


def admitted(limiter: RateLimiter, times: list[float], caller: str = "a") -> list[float]:
    return [now for now in times if limiter.seconds_to_wait(caller, now) == 0]


def test_ten_seconds_worth_at_once_and_then_the_rate() -> None:
    limiter = RateLimiter(2.0)
    assert len(admitted(limiter, [100.0] * 50)) == 20
    assert len(admitted(limiter, [100.0 + n / 100 for n in range(1_001)])) == 20


def test_who_waits_as_told_gets_through() -> None:
    limiter = RateLimiter(0.05)
    assert limiter.seconds_to_wait("a", 0.0) == 0
    wait = limiter.seconds_to_wait("a", 5.0)
    assert wait == pytest.approx(15.0)
    assert limiter.seconds_to_wait("a", 5.0 + wait) == 0


def test_callers_do_not_use_up_each_others_share() -> None:
    limiter = RateLimiter(1.0)
    admitted(limiter, [0.0] * 50, "greedy")
    assert limiter.seconds_to_wait("modest", 0.0) == 0


@given(st.floats(0.1, 100.0), st.lists(st.floats(0.0, 60.0), max_size=300), st.floats(0.0, 59.0))
def test_no_stretch_of_time_holds_more_than_the_burst_and_the_rate(
    rate: float, times: list[float], start: float
) -> None:
    passed = admitted(RateLimiter(rate), sorted(times))
    inside = [now for now in passed if start <= now <= start + 1.0]
    assert len(inside) <= max(BURST_SECONDS * rate, 1.0) + rate + 1.0


def test_memory_is_bounded_and_the_busy_are_remembered() -> None:
    limiter = RateLimiter(1.0, max_callers=100)
    for number in range(10_000):
        limiter.seconds_to_wait(f"caller {number}", 0.0)
        limiter.seconds_to_wait("greedy", 0.0)
    assert len(limiter) == 100
    assert limiter.seconds_to_wait("greedy", 0.0) > 0
