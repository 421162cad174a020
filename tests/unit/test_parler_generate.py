"""The decode loop's rules: delay, ending, and which tokens sampling may choose from."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from scoring.tts.parler.delay import delayed, undelayed
from scoring.tts.parler.sampling import drawn, likeliest, warped
from scoring.tts.parler.settings import GenerationSettings

SETTINGS = GenerationSettings(
    bos_token_id=1_025,
    eos_token_id=1_024,
    pad_token_id=1_024,
    do_sample=True,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
    min_new_tokens=0,
    max_length=100,
)
B, P = SETTINGS.bos_token_id, SETTINGS.pad_token_id


def test_delay_pattern_of_four_codebooks_and_eight_columns() -> None:
    columns = torch.arange(8)[:, None]
    assert delayed(torch.full((8, 4), 7), columns, 8, SETTINGS).T.tolist() == [
        [B, 7, 7, 7, 7, P, P, P],
        [B, B, 7, 7, 7, 7, P, P],
        [B, B, B, 7, 7, 7, 7, P],
        [B, B, B, B, 7, 7, 7, 7],
    ]


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_column_alone_is_delayed_as_within_the_grid(data: st.DataObject) -> None:
    codebooks = data.draw(st.integers(1, 9))
    columns = data.draw(st.integers(2 * codebooks - 1, 40))
    grid = torch.randint(0, 1_024, (codebooks, columns))
    column = data.draw(st.integers(0, columns - 1))
    whole = delayed(grid.T, torch.arange(columns)[:, None], columns, SETTINGS)
    alone = delayed(grid[:, column], torch.tensor([column]), columns, SETTINGS)
    assert torch.equal(alone, whole[column])


@given(codebooks=st.integers(1, 9), frames=st.integers(9, 60))
@settings(max_examples=50, deadline=None)
def test_undelaying_gives_back_the_frames_that_were_delayed(codebooks: int, frames: int) -> None:
    codes = torch.randint(0, 1_024, (codebooks, frames))
    grid = torch.zeros(codebooks, frames + codebooks, dtype=torch.long)
    for codebook in range(codebooks):
        grid[codebook, codebook + 1 : codebook + 1 + frames] = codes[codebook]
    assert torch.equal(undelayed(grid, 1_000, SETTINGS), codes)


@pytest.mark.parametrize("columns", [1, 8, 16])
def test_too_few_columns_hold_no_frame(columns: int) -> None:
    assert undelayed(torch.zeros(9, columns, dtype=torch.long), 100, SETTINGS).shape == (9, 0)


@given(
    seed=st.integers(0, 2**32),
    temperature=st.floats(0.1, 5.0),
    top_k=st.integers(0, 80),
    top_p=st.floats(0.01, 1.0),
)
@settings(max_examples=100, deadline=None)
def test_scores_are_warped_as_transformers_does(
    seed: int, temperature: float, top_k: int, top_p: float
) -> None:
    scores = torch.randn(9, 64, generator=torch.Generator().manual_seed(seed)) * 3
    ours = dataclasses.replace(SETTINGS, temperature=temperature, top_k=top_k, top_p=top_p)
    theirs = TemperatureLogitsWarper(temperature)(None, scores)
    if top_k:
        theirs = TopKLogitsWarper(top_k)(None, theirs)
    if top_p < 1:
        theirs = TopPLogitsWarper(top_p)(None, theirs)
    torch.testing.assert_close(warped(scores.clone(), ours), theirs)


def test_the_likeliest_is_the_first_of_equals_whatever_the_device() -> None:
    scores = torch.tensor([[0.0, 2.0, 2.0], [5.0, -1.0, 5.0], [-torch.inf, -torch.inf, -3.0]])
    assert likeliest(scores).tolist() == [1, 0, 2]
    assert likeliest(scores).dtype == torch.int64


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    probabilities = torch.tensor([0.0, 0.1, 0.0, 0.6, 0.3, 0.0])
    count = 50_000
    uniforms = torch.rand(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tokens = drawn(probabilities.expand(count, -1), uniforms)
    often = torch.bincount(tokens, minlength=6) / count
    assert often[probabilities == 0].sum() == 0
    # Five standard deviations of the likeliest token's count.
    torch.testing.assert_close(often, probabilities, atol=5 * (0.24 / count) ** 0.5, rtol=0)


@given(seed=st.integers(0, 2**32), uniform=st.sampled_from([0.0, 1e-300, 0.5, 1 - 2**-53]))
@settings(max_examples=50, deadline=None)
def test_no_token_without_probability_is_ever_drawn(seed: int, uniform: float) -> None:
    scores = torch.randn(20, 40, generator=torch.Generator().manual_seed(seed))
    probabilities = scores.masked_fill(scores < 0.5, -torch.inf).softmax(dim=-1)
    tokens = drawn(probabilities, torch.full((20,), uniform, dtype=torch.float64))
    assert (probabilities.gather(1, tokens[:, None]) > 0).all()
