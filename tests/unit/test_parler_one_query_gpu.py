"""The GPU's loop over one query per slot: its arithmetic in Triton's interpreter, which needs no
GPU, and that it compiles for the GPUs that are meant."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
import torch
from test_parler_one_query import torchs

pytest.importorskip("triton", reason="Triton is for Linux alone")

MODULE = "scoring.tts.parler.one_query_gpu"


Attend = Callable[..., torch.Tensor]


def _attend(*tensors: torch.Tensor) -> torch.Tensor:
    return importlib.import_module(MODULE).attend(*tensors)


@pytest.fixture(scope="module")
def attend() -> Iterator[Attend]:
    """The function in a process whose Triton interprets: that is settled when it is imported."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TRITON_INTERPRET", "1")
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        pool.submit(int).result(timeout=60)
    with pool:
        yield lambda *tensors: pool.submit(_attend, *tensors).result(timeout=60)


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    return importlib.import_module(MODULE)


@pytest.mark.parametrize(("heads", "kv_heads", "width"), [(4, 4, 64), (4, 2, 8), (3, 1, 5)])
def test_it_mixes_as_torch_does(attend: Attend, heads: int, kv_heads: int, width: int) -> None:
    stream = torch.Generator().manual_seed(0)
    queries = torch.randn(4, heads, 1, width, generator=stream)
    cache = torch.randn(2, 2 * kv_heads, 272, width, generator=stream)
    # One position, a full block, one more, and all.
    rows, lengths = [1, 0, 1, 1], [1, 128, 129, 272]
    found = attend(queries, cache, torch.tensor(rows), torch.tensor(lengths))
    torch.testing.assert_close(found, torchs(queries, cache, rows, lengths))


def test_half_precision_is_summed_in_full(attend: Attend) -> None:
    stream = torch.Generator().manual_seed(1)
    queries = torch.randn(2, 2, 1, 64, generator=stream).bfloat16()
    cache = torch.randn(2, 4, 80, 64, generator=stream).bfloat16()
    rows, lengths = [0, 1], [80, 33]
    found = attend(queries, cache, torch.tensor(rows), torch.tensor(lengths))
    exact = torchs(queries.float(), cache.float(), rows, lengths)
    assert found.dtype == torch.bfloat16
    # The only rounding to eight bits is that of the result, which the interpreter cuts off.
    torch.testing.assert_close(found.float(), exact, rtol=2**-7, atol=1e-6)


def test_what_lies_behind_the_length_is_never_read(attend: Attend) -> None:
    cache = torch.zeros(1, 2, 16, 4)
    cache[:, :, 3:] = torch.nan
    found = attend(torch.ones(1, 1, 1, 4), cache, torch.tensor([0]), torch.tensor([3]))
    assert found.isfinite().all()


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_visible(attend: Attend, poison: float) -> None:
    cache = torch.ones(1, 2, 16, 4)
    cache[0, 0, 1, 2] = poison
    found = attend(torch.ones(1, 1, 1, 4), cache, torch.tensor([0]), torch.tensor([16]))
    assert not found.isfinite().any()


def test_scores_that_would_overflow_do_not(attend: Attend) -> None:
    cache = torch.full((1, 2, 16, 4), 1e3)
    found = attend(torch.full((1, 1, 1, 4), 1e3), cache, torch.tensor([0]), torch.tensor([16]))
    torch.testing.assert_close(found, torch.full((1, 1, 4), 1e3))


def test_views_are_read_in_place(attend: Attend) -> None:
    cache = torch.randn(2, 5, 4, 32, 8, generator=torch.Generator().manual_seed(2))
    # Queries, keys and values come out of one product.
    queries = torch.randn(3, 6, 1, 8, generator=torch.Generator().manual_seed(3))[:, :2]
    view = cache[1, 2:, :, :16]
    found = attend(queries, view, torch.tensor([0, 1, 2]), torch.tensor([16, 5, 9]))
    torch.testing.assert_close(found, torchs(queries, view, [0, 1, 2], [16, 5, 9]))


@pytest.mark.parametrize("capability", [80, 90])
def test_it_compiles_for_an_a100_and_an_h200_and_reads_16_bytes_at_a_time(
    compiled: ModuleType, capability: int
) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler import compile as translate

    pointers = dict.fromkeys(("queries", "keys_values", "mixed"), "*bf16")
    numbers = dict.fromkeys(("rows", "lengths"), "*i64")
    strides = dict.fromkeys(("slot_stride", "query_stride", "row_stride", "head_stride"), "i64")
    scalars = {"scale": "fp32", **strides}
    constants = {"shared": 1, "kv_heads": 16, "width": 64, "lanes": 64, "block": compiled._BLOCK}
    signature = {**pointers, **numbers, **scalars, **dict.fromkeys(constants, "constexpr")}
    names = compiled._mix.arg_names
    aligned = {(names.index(name),): [["tt.divisibility", 16]] for name in (*pointers, *strides)}
    source = ASTSource(compiled._mix, {n: signature[n] for n in names}, constants, attrs=aligned)
    program = translate(source, target=GPUTarget("cuda", capability, 32))
    assert program.asm["cubin"]
    assert "ld.global.v4.b32" in program.asm["ptx"] or "ld.global.v2.b64" in program.asm["ptx"]
