"""The loop over one query per slot, against torch's own attention."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.tts.parler import one_query


def torchs(
    queries: torch.Tensor, cache: torch.Tensor, rows: list[int], lengths: list[int]
) -> torch.Tensor:
    """Slot by slot, each with what it sees alone."""
    mixed = []
    for slot, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        keys, values = cache[row : row + 1, :, :length].chunk(2, dim=1)
        grouped = keys.shape[1] != queries.shape[1]
        one = F.scaled_dot_product_attention(
            queries[slot : slot + 1], keys, values, enable_gqa=grouped
        )
        mixed.append(one.transpose(1, 2).flatten(2))
    return torch.cat(mixed)


@pytest.mark.parametrize(("heads", "kv_heads", "width"), [(4, 4, 64), (4, 2, 8), (3, 1, 5)])
def test_it_mixes_as_torch_does(heads: int, kv_heads: int, width: int) -> None:
    stream = torch.Generator().manual_seed(0)
    queries = torch.randn(3, heads, 1, width, generator=stream)
    cache = torch.randn(2, 2 * kv_heads, 48, width, generator=stream)
    rows, lengths = [1, 0, 1], [1, 33, 48]
    found = one_query.attend(queries, cache, torch.tensor(rows), torch.tensor(lengths))
    torch.testing.assert_close(found, torchs(queries, cache, rows, lengths))


def test_a_view_of_the_first_positions_is_read_in_place() -> None:
    stream = torch.Generator().manual_seed(1)
    cache = torch.randn(2, 5, 4, 32, 8, generator=stream)
    queries = torch.randn(3, 2, 1, 8, generator=stream)
    view = cache[1, 2:, :, :16]
    found = one_query.attend(queries, view, torch.tensor([0, 1, 2]), torch.tensor([16, 5, 9]))
    torch.testing.assert_close(found, torchs(queries, view, [0, 1, 2], [16, 5, 9]))


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (3, 1)])
def test_what_is_fresh_is_written_at_the_end_and_seen(heads: int, kv_heads: int) -> None:
    stream = torch.Generator().manual_seed(4)
    queries = torch.randn(3, heads, 1, 8, generator=stream)
    cache = torch.randn(3, 2 * kv_heads, 16, 8, generator=stream)
    mixed = torch.randn(3, 1, 3 * kv_heads * 8, generator=stream).view(3, 1, -1, 8).transpose(1, 2)
    fresh, lengths = mixed[:, kv_heads:], torch.tensor([1, 9, 16])
    wanted = cache.clone()
    wanted[torch.arange(3), :, lengths - 1] = fresh[:, :, 0]
    found = one_query.attend(queries, cache, torch.arange(3), lengths, fresh)
    assert torch.equal(cache, wanted)
    torch.testing.assert_close(found, torchs(queries, wanted, [0, 1, 2], lengths.tolist()))


def test_what_lies_behind_the_length_is_never_read() -> None:
    cache = torch.zeros(1, 2, 16, 4)
    cache[:, :, 3:] = torch.nan
    found = one_query.attend(torch.ones(1, 1, 1, 4), cache, torch.tensor([0]), torch.tensor([3]))
    assert found.isfinite().all()


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_visible(poison: float) -> None:
    cache = torch.ones(1, 2, 16, 4)
    cache[0, 0, 1, 2] = poison
    found = one_query.attend(torch.ones(1, 1, 1, 4), cache, torch.tensor([0]), torch.tensor([16]))
    assert not found.isfinite().any()


def test_weights_are_exponentials_to_the_last_bits() -> None:
    """Keys count down from the query's, so that weights fall from 1 to what is nearly nothing; the
    value of each position is alone in its dimension, which shows its weight."""
    falls = torch.linspace(0, -100, 64)
    cache = torch.zeros(1, 2, 64, 64)
    cache[0, 0, :, 0] = falls * 8
    cache[0, 1] = torch.eye(64)
    query = torch.zeros(1, 1, 1, 64)
    query[..., 0] = 1.0
    found = one_query.attend(query, cache, torch.tensor([0]), torch.tensor([64]))
    exact = falls.double().softmax(0)
    torch.testing.assert_close(found[0, 0].double(), exact, rtol=1e-5, atol=1e-37)


def test_scores_that_would_overflow_do_not() -> None:
    cache = torch.full((1, 2, 16, 4), 1e3)
    found = one_query.attend(
        torch.full((1, 1, 1, 4), 1e3), cache, torch.tensor([0]), torch.tensor([16])
    )
    torch.testing.assert_close(found, torch.full((1, 1, 4), 1e3))


def test_a_slot_does_not_depend_on_its_neighbours_to_the_last_bit() -> None:
    stream = torch.Generator().manual_seed(2)
    queries = torch.randn(32, 4, 1, 64, generator=stream)
    cache = torch.randn(32, 8, 64, 64, generator=stream)
    lengths = torch.arange(1, 33)
    together = one_query.attend(queries, cache, torch.arange(32), lengths)
    for slot in (0, 7, 31):
        alone = one_query.attend(
            queries[slot : slot + 1], cache, torch.tensor([slot]), lengths[slot : slot + 1]
        )
        assert torch.equal(alone[0], together[slot])
