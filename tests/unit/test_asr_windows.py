"""Cutting long audio into windows."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.asr.base import SAMPLE_RATE
from scoring.asr.windows import WINDOW, windows


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 5 * WINDOW), seed=st.integers(0, 9))
def test_the_pieces_are_the_whole_and_none_is_longer_than_a_window(length: int, seed: int) -> None:
    samples = np.random.default_rng(seed).standard_normal(length, dtype=np.float32)
    pieces = windows(samples)
    assert np.array_equal(np.concatenate(pieces), samples)
    assert all(0 < len(piece) <= WINDOW for piece in pieces)
    assert len(pieces) <= 1 + length // (20 * SAMPLE_RATE)


def test_what_fits_a_window_is_not_cut() -> None:
    assert len(windows(np.ones(WINDOW, np.float32))) == 1


def test_the_cut_falls_into_the_pause() -> None:
    samples = np.ones(40 * SAMPLE_RATE, np.float32)
    samples[27 * SAMPLE_RATE : 28 * SAMPLE_RATE] = 0.0
    first, second = windows(samples)
    assert 27 * SAMPLE_RATE < len(first) < 28 * SAMPLE_RATE
    assert len(first) + len(second) == len(samples)
