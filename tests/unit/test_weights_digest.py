"""The weights digest: what it covers, what it does not, and what it refuses."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_safetensors import RawTensors, framed, safetensors
from safetensors.numpy import save_file

from scoring.weights_digest import MAX_FILES, SafetensorsError, weights_digest

_WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1}


@st.composite
def _tensor(draw: st.DrawFn) -> tuple[str, tuple[int, ...], bytes]:
    dtype = draw(st.sampled_from(sorted(_WIDTHS)))
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    size = int(np.prod(shape, dtype=int)) * _WIDTHS[dtype]
    return dtype, shape, draw(st.binary(min_size=size, max_size=size))


_checkpoints = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(
        lambda name: name != "__metadata__"
    ),
    _tensor(),
    min_size=1,
    max_size=5,
)
_quickly = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _digest(directory: Path, **files: bytes) -> str:
    for old in directory.rglob("*.safetensors"):
        old.unlink()
    for stem, content in files.items():
        (directory / f"{stem}.safetensors").write_bytes(content)
    return weights_digest(directory)


def _defined(tensors: RawTensors) -> str:
    """The digest straight from its definition."""
    u64 = struct.Struct("<Q").pack
    stream = b"weights-digest-1" + u64(len(tensors))
    for name, (dtype, shape, raw) in sorted(tensors.items(), key=lambda item: item[0].encode()):
        stream += u64(len(name.encode())) + name.encode() + u64(len(dtype)) + dtype.encode()
        stream += u64(len(shape)) + b"".join(map(u64, shape)) + u64(len(raw)) + raw
    return hashlib.sha256(stream).hexdigest()


@_quickly
@given(tensors=_checkpoints)
def test_digest_is_what_its_definition_says(tmp_path: Path, tensors: RawTensors) -> None:
    assert _digest(tmp_path, model=safetensors(tensors)) == _defined(tensors)


@_quickly
@given(tensors=_checkpoints, data=st.data())
def test_sharding_order_and_metadata_do_not_count(
    tmp_path: Path, tensors: RawTensors, data: st.DataObject
) -> None:
    names = data.draw(st.permutations(sorted(tensors)))
    cut = data.draw(st.integers(0, len(names)))
    first = {name: tensors[name] for name in names[:cut]}
    second = {name: tensors[name] for name in names[cut:]}
    sharded = _digest(
        tmp_path, a=safetensors(first, {"format": "pt"}), b=safetensors(second, {"by": "me"})
    )
    assert sharded == _digest(tmp_path, model=safetensors(tensors))


@_quickly
@given(tensors=_checkpoints, other=_checkpoints)
def test_different_tensors_have_different_digests(
    tmp_path: Path, tensors: RawTensors, other: RawTensors
) -> None:
    same = _digest(tmp_path, m=safetensors(tensors)) == _digest(tmp_path, m=safetensors(other))
    assert same == (tensors == other)


def test_bytes_moved_between_neighbours_change_the_digest(tmp_path: Path) -> None:
    one = {"a": ("U8", (2,), b"xy"), "b": ("U8", (1,), b"z")}
    two = {"a": ("U8", (1,), b"x"), "b": ("U8", (2,), b"yz")}
    assert _digest(tmp_path, m=safetensors(one)) != _digest(tmp_path, m=safetensors(two))


def test_shape_and_dtype_count_though_bytes_are_the_same(tmp_path: Path) -> None:
    variants: list[RawTensors] = [
        {"a": ("F32", (4,), bytes(16))},
        {"a": ("F32", (2, 2), bytes(16))},
        {"a": ("F16", (8,), bytes(16))},
        {"a": ("BF16", (8,), bytes(16))},
    ]
    digests = {_digest(tmp_path, m=safetensors(variant)) for variant in variants}
    assert len(digests) == len(variants)


def test_files_of_the_safetensors_library_are_read(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    (tmp_path / "deep").mkdir()
    save_file({"x": array}, tmp_path / "deep" / "model.safetensors", metadata={"format": "pt"})
    assert weights_digest(tmp_path) == _defined({"x": ("F32", (2, 3), array.tobytes())})


def _with_header(header: object, data: bytes) -> bytes:
    return framed(json.dumps(header), data)


_GOOD = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "too few"),
        (b"\x00" * 7, "too few"),
        (struct.pack("<Q", 2**63) + b"{}", "header of"),
        (struct.pack("<Q", 10) + b"{}", "header of"),
        (struct.pack("<Q", 3) + b"{}}", "not JSON"),
        (struct.pack("<Q", 2) + b"[]", "not a JSON object"),
        (struct.pack("<Q", 2) + b"\xff\xff", "not JSON"),
        (struct.pack("<Q", 100_000) + b"[" * 100_000, "not JSON"),
        (_with_header({"a": _GOOD}, b"x"), "truncated"),
        (_with_header({"a": _GOOD}, b"xyz"), "bytes to spare"),
        (_with_header({"a": _GOOD, "b": _GOOD}, b"xy"), "overlaps"),
        (_with_header({"a": _GOOD | {"data_offsets": [1, 3]}}, b"xyz"), "gap"),
        (_with_header({"a": _GOOD | {"data_offsets": [0, 1]}}, b"x"), "described wrongly"),
        (_with_header({"a": _GOOD | {"data_offsets": [2, 0]}}, b"xy"), "described wrongly"),
        (_with_header({"a": _GOOD | {"data_offsets": [-2, 0]}}, b"xy"), "described wrongly"),
        (_with_header({"a": _GOOD | {"shape": [True, 2]}}, b"xy"), "described wrongly"),
        (_with_header({"a": _GOOD | {"shape": [2.0]}}, b"xy"), "described wrongly"),
        (_with_header({"a": _GOOD | {"shape": "2"}}, b"xy"), "described wrongly"),
        (_with_header({"a": _GOOD | {"dtype": "PICKLE"}}, b"xy"), "described wrongly"),
        (_with_header({"a": _GOOD | {"dtype": ["U8"]}}, b"xy"), "described wrongly"),
        (_with_header({"a": "U8"}, b"xy"), "described wrongly"),
        (_with_header({"\ud800": _GOOD}, b"xy"), "described wrongly"),
        (_with_header({"a" * 2_000: _GOOD}, b"xy"), "described wrongly"),
        (
            framed(f'{{"a": {json.dumps(_GOOD)}, "a": {json.dumps(_GOOD)}}}', b"xy"),
            "repeats a name",
        ),
    ],
)
def test_malformed_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(SafetensorsError, match=reason):
        _digest(tmp_path, model=content)


def test_name_in_two_files_is_refused(tmp_path: Path) -> None:
    content = safetensors({"a": ("U8", (1,), b"x")})
    with pytest.raises(SafetensorsError, match="occurs twice"):
        _digest(tmp_path, one=content, two=content)


def test_directory_without_safetensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SafetensorsError, match="no safetensors"):
        weights_digest(tmp_path)


def test_more_files_than_a_process_can_map_are_refused(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number}.safetensors").touch()
    with pytest.raises(SafetensorsError, match=f"more than {MAX_FILES}"):
        weights_digest(tmp_path)


def test_link_is_refused_even_within_the_directory(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(safetensors({"a": ("U8", (1,), b"x")}))
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "real.bin")
    with pytest.raises(SafetensorsError, match="link"):
        weights_digest(tmp_path)
