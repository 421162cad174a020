"""The weights digest: one sha256 that names the exact tensors of a checkpoint.

Standard library only, so that the machine that publishes a checkpoint and the one that scores it
compute the same digest without any tensor package.

Definition. Take every tensor of every ``*.safetensors`` file below the checkpoint's directory;
no name may occur twice. Sort them by the UTF-8 bytes of their names. The digest is the sha256, in
lower-case hex, of these bytes in order, where ``u64(n)`` is n as 8 little-endian bytes:

1. the ASCII bytes ``weights-digest-1`` followed by ``u64(number of tensors)``;
2. for each tensor ``u64(len(name)) name``, ``u64(len(dtype)) dtype`` with dtype spelled as in the
   safetensors header (``F32``, ``BF16``, …), ``u64(number of dimensions)`` and ``u64`` of each
   dimension, then ``u64(len(data)) data`` with data as stored (row-major, little-endian).

File names, sharding, tensor order within a file and header metadata do not count.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

DOMAIN = b"weights-digest-1"
CHUNK_BYTES = 1 << 22
# The safetensors format's own limit on its header.
MAX_HEADER_BYTES = 100_000_000
# Each takes two descriptors while it is loaded, and a process often has no more than 1,024.
MAX_FILES = 256
MAX_NAME_BYTES = 1_024
MAX_DIMENSIONS = 16

# Bytes per element of each dtype that the safetensors format names and whose elements are whole
# bytes.
DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "F64": 8, "I64": 8, "U64": 8, "C64": 8,
}  # fmt: skip


class SafetensorsError(ValueError):
    """A file is not well-formed safetensors, or two files contradict each other."""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor as its file's header describes it; ``offset`` counts from the file's start."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class WeightsHasher:
    """Accumulates the digest; tensors are to come sorted by the UTF-8 bytes of their names."""

    def __init__(self, tensors: int) -> None:
        self._sha256 = hashlib.sha256(DOMAIN + _u64(tensors))

    def begin(self, entry: TensorEntry) -> None:
        """Start a tensor; exactly ``entry.nbytes`` bytes are to follow through `data`."""
        for field in (entry.name.encode(), entry.dtype.encode()):
            self._sha256.update(_u64(len(field)) + field)
        self._sha256.update(_u64(len(entry.shape)) + b"".join(map(_u64, entry.shape)))
        self._sha256.update(_u64(entry.nbytes))

    def data(self, chunk: bytes | memoryview) -> None:
        """The next bytes of the tensor that was begun."""
        self._sha256.update(chunk)

    def hexdigest(self) -> str:
        """The digest of everything given so far."""
        return self._sha256.hexdigest()


def weights_digest(directory: Path) -> str:
    """The weights digest of the checkpoint in ``directory``.

    Raises SafetensorsError when there is no safetensors file, one is malformed, or a tensor name
    occurs twice; OSError when a file cannot be read.
    """
    return weights_digest_of(find_safetensors(directory))


def weights_digest_of(paths: Iterable[Path]) -> str:
    """The weights digest of a checkpoint whose safetensors files are ``paths``.

    Raises SafetensorsError when one is malformed or a tensor name occurs twice; OSError when a
    file cannot be read.
    """
    with ExitStack() as stack:
        located = merge_headers((path, stack.enter_context(path.open("rb"))) for path in paths)
        hasher = WeightsHasher(len(located))
        for entry, file in located:
            hasher.begin(entry)
            for chunk in read_chunks(file, entry):
                hasher.data(chunk)
    return hasher.hexdigest()


def find_safetensors(directory: Path) -> tuple[Path, ...]:
    """Every ``*.safetensors`` below ``directory``, in sorted order.

    Symbolic links are refused rather than followed: what they point at is not part of the
    checkpoint. Raises SafetensorsError for a link, for too many files, and when there is none.
    """
    paths = []
    for path in sorted(directory.rglob("*.safetensors")):
        if path.is_symlink() or not path.is_file():
            raise SafetensorsError(f"{path.name} is a link or not a regular file")
        paths.append(path)
        if len(paths) > MAX_FILES:
            raise SafetensorsError(f"more than {MAX_FILES} safetensors files")
    if not paths:
        raise SafetensorsError("no safetensors file")
    return tuple(paths)


def merge_headers(files: Iterable[tuple[Path, BinaryIO]]) -> list[tuple[TensorEntry, BinaryIO]]:
    """Every tensor of the given open files with the file that holds it, in digest order.

    Raises SafetensorsError when a header is malformed or a name occurs twice.
    """
    located: dict[str, tuple[TensorEntry, BinaryIO]] = {}
    for path, file in files:
        for entry in read_header(file, path.name):
            if entry.name in located:
                raise SafetensorsError(f"{path.name}: tensor {entry.name!r} occurs twice")
            located[entry.name] = (entry, file)
    return sorted(located.values(), key=lambda pair: pair[0].name.encode())


def read_header(file: BinaryIO, label: str) -> tuple[TensorEntry, ...]:
    """The tensors that an open safetensors file holds, in the order of their bytes.

    Checks that their bytes fill the rest of the file without gap or overlap. ``label`` names the
    file in errors. Raises SafetensorsError.
    """
    size = file.seek(0, 2)
    file.seek(0)
    prefix = file.read(8)
    if len(prefix) < 8:
        raise SafetensorsError(f"{label}: {size} bytes are too few for a safetensors file")
    (header_bytes,) = struct.unpack("<Q", prefix)
    if header_bytes > MAX_HEADER_BYTES or 8 + header_bytes > size:
        raise SafetensorsError(f"{label}: header of {header_bytes} bytes in a file of {size}")
    header = _parse_json(file.read(header_bytes), label)
    header.pop("__metadata__", None)
    start = 8 + header_bytes
    entries = [_entry(name, value, start, label) for name, value in header.items()]
    entries.sort(key=lambda entry: (entry.offset, entry.nbytes))
    position = start
    for entry in entries:
        if entry.offset != position:
            raise SafetensorsError(f"{label}: tensor {entry.name!r} overlaps or leaves a gap")
        position += entry.nbytes
    if position != size:
        raise SafetensorsError(
            f"{label}: the header describes {position} bytes but the file has {size}: "
            "it is truncated or has bytes to spare"
        )
    return tuple(entries)


def read_chunks(file: BinaryIO, entry: TensorEntry) -> Iterator[bytes]:
    """The tensor's bytes, a few megabytes at a time. Raises SafetensorsError if they run short."""
    file.seek(entry.offset)
    left = entry.nbytes
    while left:
        chunk = file.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise SafetensorsError(f"tensor {entry.name!r}: the file ends within it")
        left -= len(chunk)
        yield chunk


def _u64(number: int) -> bytes:
    return struct.pack("<Q", number)


def _parse_json(raw: bytes, label: str) -> dict[str, Any]:
    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) != len(pairs):
            raise SafetensorsError(f"{label}: the header repeats a name")
        return names

    try:
        header = json.loads(raw.decode(), object_pairs_hook=without_repeats)
    except SafetensorsError:
        raise
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(f"{label}: the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise SafetensorsError(f"{label}: the header is not a JSON object")
    return header


def _entry(name: str, value: object, start: int, label: str) -> TensorEntry:
    wrong = SafetensorsError(f"{label}: tensor {name[:200]!r} is described wrongly: {value!r:.200}")
    try:
        encoded_name = name.encode()
    except UnicodeEncodeError as error:
        raise wrong from error
    if not isinstance(value, dict) or len(encoded_name) > MAX_NAME_BYTES:
        raise wrong
    dtype, shape, offsets = (value.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise wrong
    if not _is_naturals(shape) or len(shape) > MAX_DIMENSIONS:
        raise wrong
    if not _is_naturals(offsets) or len(offsets) != 2:
        raise wrong
    begin, end = offsets
    if end - begin != math.prod(shape) * DTYPE_BYTES[dtype]:
        raise wrong
    return TensorEntry(name, dtype, tuple(shape), start + begin, end - begin)


def _is_naturals(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(x) is int and 0 <= x < 2**63 for x in value)
