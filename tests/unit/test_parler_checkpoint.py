"""Loading tensors: where they lie, what they cost, and what happens when their files change."""

import os
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_safetensors import RawTensors, safetensors

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.parler.checkpoint import Weights, read_weights
from scoring.tts.parler.mapped_file import SMALL_BYTES
from scoring.weights_digest import MAX_FILES, weights_digest

MIB = 1 << 20
CPU = torch.device("cpu")
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_dtypes = st.sampled_from(list(_DTYPES.values()))


def _raw(tensors: dict[str, torch.Tensor]) -> RawTensors:
    return {
        name: (_NAMES[t.dtype], tuple(t.shape), bytes(t.flatten().view(torch.uint8).numpy()))
        for name, t in tensors.items()
    }


def _write(path: Path, tensors: dict[str, torch.Tensor], *, beyond_alignment: int = 0) -> None:
    """Write a file whose tensors begin this many bytes beyond a multiple of 8, which is
    where libraries begin."""
    raw = _raw(tensors)
    start = len(safetensors(raw)) - sum(tensor.nbytes for tensor in tensors.values())
    path.write_bytes(safetensors(raw, padding=-start % 8 + beyond_alignment))
    # Long ago: the kernel's clock for files ticks too slowly to tell two moments of a test apart.
    os.utime(path, (1, 1))


def _read(
    directory: Path,
    tensors: dict[str, torch.Tensor],
    *,
    keep: Callable[[str], bool] = lambda _: True,
) -> Weights:
    return read_weights(
        directory,
        expected=lambda _: {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        skip=lambda _: False,
        keep=keep,
        device=CPU,
    )


def _random(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7)).to(dtype)


def _mappings(path: Path) -> list[tuple[int, int, int]]:
    """Begin, end and bytes in memory of this process's mappings of a file; see proc(5)."""
    found: list[tuple[int, int, int]] = []
    begin = end = 0
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            begin, end = (int(side, 16) for side in words[0].split("-"))
            is_ours = words[-1] == str(path)
        elif words[0] == "Rss:" and is_ours:
            found.append((begin, end, int(words[1]) * 1_024))
    return found


def _resident(path: Path) -> int:
    return sum(resident for _, _, resident in _mappings(path))


def _lies_in(tensor: torch.Tensor, path: Path) -> bool:
    return any(begin <= tensor.data_ptr() < end for begin, end, _ in _mappings(path))


@st.composite
def _tensor(draw: st.DrawFn) -> torch.Tensor:
    dtype = draw(_dtypes)
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    numbers = st.floats(-60_000, 60_000, width=16)
    size = torch.Size(shape).numel()
    return torch.tensor(draw(st.lists(numbers, min_size=size, max_size=size))).to(dtype).view(shape)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    tensors=st.dictionaries(st.text("abc.", min_size=1, max_size=6), _tensor(), max_size=5),
    beyond=st.integers(0, 7),
)
def test_whatever_the_layout_the_numbers_and_their_digest_arrive(
    tmp_path: Path, tensors: dict[str, torch.Tensor], beyond: int
) -> None:
    _write(tmp_path / "model.safetensors", tensors, beyond_alignment=beyond)
    weights = _read(tmp_path, tensors)
    assert weights.digest == weights_digest(tmp_path)
    assert weights.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert weights.tensors[name].dtype is torch.float32
        assert weights.tensors[name].equal(tensor.float())


@pytest.mark.parametrize("dtype", _DTYPES.values(), ids=_DTYPES)
@pytest.mark.parametrize("beyond", [0, 1, 2, 3])
def test_large_tensor_lies_in_its_file_if_it_is_in_float32_and_aligned_there(
    tmp_path: Path, dtype: torch.dtype, beyond: int
) -> None:
    tensors, path = {"large": _random((300, 256), dtype)}, tmp_path / "model.safetensors"
    _write(path, tensors, beyond_alignment=beyond)
    loaded = _read(tmp_path, tensors).tensors["large"]
    assert loaded.equal(tensors["large"].float())
    assert _lies_in(loaded, path) == (dtype is torch.float32 and beyond == 0)


def test_small_tensor_is_copied(tmp_path: Path) -> None:
    tensors = {"small": _random((SMALL_BYTES // 4 - 1,)), "larger": _random((SMALL_BYTES // 4,))}
    path = tmp_path / "model.safetensors"
    _write(path, tensors)
    loaded = _read(tmp_path, tensors).tensors
    assert [_lies_in(loaded[name], path) for name in tensors] == [False, True]


def test_pages_of_what_was_converted_or_let_go_are_given_back(tmp_path: Path) -> None:
    tensors = {str(n): _random((MIB,)) for n in range(8)}
    path = tmp_path / "model.safetensors"
    _write(path, {name: tensor.bfloat16() for name, tensor in tensors.items()})
    converted = _read(tmp_path, tensors)
    assert len(converted.tensors) == 8
    assert not _mappings(path)
    _write(path, tensors)
    loaded = _read(tmp_path, tensors).tensors
    assert 32 * MIB <= _resident(path) < 33 * MIB
    while len(loaded) > 1:
        loaded.popitem()
        assert _resident(path) < (4 * len(loaded) + 3) * MIB
    assert loaded.popitem()[1].equal(tensors["0"])
    loaded.clear()
    assert not _mappings(path)


@pytest.mark.parametrize("stored", _DTYPES.values(), ids=_DTYPES)
def test_loading_peaks_at_the_weights_and_one_tensor(tmp_path: Path, stored: torch.dtype) -> None:
    tensors = {str(n): _random((MIB,), stored) for n in range(32)}
    _write(tmp_path / "model.safetensors", tensors)
    _read(tmp_path, tensors, keep=lambda _: False)  # torch's own first use is not the tensors'
    before = _status("VmRSS")
    # Writing 5 makes the kernel forget the peak so far; see proc(5).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    weights = _read(tmp_path, tensors)
    needed = sum(tensor.nbytes for tensor in weights.tensors.values())
    largest = max(tensor.nbytes for tensor in tensors.values())
    assert _status("VmHWM") - before < needed + largest + 4 * MIB


def _status(name: str) -> int:
    """Bytes that /proc/self/status states."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith(f"{name}:"))


def test_writing_to_a_loaded_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    tensors, path = {"large": _random((300, 256))}, tmp_path / "model.safetensors"
    _write(path, tensors)
    before = path.read_bytes()
    loaded = _read(tmp_path, tensors).tensors["large"]
    assert _lies_in(loaded, path)
    loaded.zero_()
    assert path.read_bytes() == before
    assert _read(tmp_path, tensors).tensors["large"].equal(tensors["large"])


@pytest.mark.parametrize("dtype", _DTYPES.values(), ids=_DTYPES)
def test_largest_finite_numbers_are_finite(tmp_path: Path, dtype: torch.dtype) -> None:
    extremes = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).min] * 5_000, dtype=dtype)
    tensors = {"large": extremes}
    _write(tmp_path / "model.safetensors", tensors)
    assert _read(tmp_path, tensors).tensors["large"].equal(extremes.float())


@pytest.mark.parametrize("dtype", _DTYPES.values(), ids=_DTYPES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 4_711, 9_999])
@pytest.mark.parametrize("kept", [True, False])
def test_number_that_is_none_is_found_wherever_it_is(
    tmp_path: Path, dtype: torch.dtype, value: float, place: int, kept: bool
) -> None:
    tensors = {"large": _random((10_000,), dtype)}
    tensors["large"][place] = value
    _write(tmp_path / "model.safetensors", tensors)
    with pytest.raises(ScoringError) as caught:
        _read(tmp_path, tensors, keep=lambda _: kept)
    assert caught.value.code is FailureCode.TENSOR_NOT_FINITE
    assert "'large'" in caught.value.message


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def _shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(struct.pack("<f", float("nan")))


def _replace(path: Path) -> None:
    other = path.with_suffix(".part")
    other.write_bytes(path.read_bytes())
    os.utime(other, (1, 1))
    other.replace(path)


@pytest.mark.parametrize("change", [_grow, _shrink, _empty, _spoil, _replace, Path.unlink])
def test_file_that_changes_while_it_is_loaded_is_nobodys_fault_but_ours(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    tensors, path = {"large": _random((300, 256))}, tmp_path / "model.safetensors"
    _write(path, tensors)

    def expected_after_the_change(_: object) -> dict[str, tuple[int, ...]]:
        change(path)
        return {"large": (300, 256)}

    with pytest.raises(ScoringError) as caught:
        read_weights(
            tmp_path,
            expected=expected_after_the_change,
            skip=lambda _: False,
            keep=lambda _: True,
            device=CPU,
        )
    assert caught.value.code is FailureCode.EVALUATOR_ERROR
    assert "model.safetensors" in caught.value.message


def test_as_many_files_as_there_may_be_fit_into_a_usual_process(tmp_path: Path) -> None:
    tensors = {str(n): _random((SMALL_BYTES // 4,)) for n in range(MAX_FILES)}
    for name, tensor in tensors.items():
        _write(tmp_path / f"{name}.safetensors", {name: tensor})
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, usual[1]), usual[1]))
    try:
        loaded = _read(tmp_path, tensors).tensors
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert all(loaded[name].equal(tensor) for name, tensor in tensors.items())


def test_file_without_tensors_beside_others(tmp_path: Path) -> None:
    tensors = {"large": _random((300, 256))}
    _write(tmp_path / "a.safetensors", {})
    _write(tmp_path / "b.safetensors", tensors)
    assert _read(tmp_path, tensors).tensors["large"].equal(tensors["large"])
