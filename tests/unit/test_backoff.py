"""Waiting after failures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from neurons.backoff import Backoff


def test_delays_double_up_to_the_ceiling() -> None:
    backoff = Backoff(first=2.0, ceiling=10.0)
    assert [backoff.delay(failures, 0.0) for failures in (1, 2, 3, 4, 1_000_000)] == [
        2.0,
        4.0,
        8.0,
        10.0,
        10.0,
    ]


@given(st.integers(1, 10**9), st.floats(0.0, 1.0))
def test_jitter_takes_at_most_half(failures: int, jitter: float) -> None:
    backoff = Backoff(first=1.0, ceiling=300.0)
    full = backoff.delay(failures, 0.0)
    assert full / 2 <= backoff.delay(failures, jitter) <= full
