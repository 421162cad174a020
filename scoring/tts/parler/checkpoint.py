"""Streams a checkpoint's tensors from safetensors, trusting nothing that the files say.

Each tensor's bytes are read once, into the buffer that becomes the tensor, and hashed there: the
weights digest covers exactly what is loaded even if a file changes meanwhile. Files are read and
not memory-mapped, because a mapped file that shrinks kills the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.weights_digest import (
    SafetensorsError,
    TensorEntry,
    WeightsHasher,
    find_safetensors,
    merge_headers,
    read_chunks,
)

Shapes = Mapping[str, tuple[int, ...]]
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_REPUBLISH = "Publish the checkpoint again with save_pretrained(..., safe_serialization=True)."


@dataclass(frozen=True)
class Weights:
    """Tensors on the device and in the dtypes asked for, and the digest of everything in the
    files."""

    tensors: dict[str, Tensor]
    digest: str
    skipped: tuple[str, ...]


def as_float32(_name: str) -> torch.dtype:
    """The ``dtype`` of `read_weights` that loads every tensor in float32."""
    return torch.float32


def read_weights(
    model_dir: Path,
    *,
    expected: Callable[[AbstractSet[str]], Shapes],
    skip: Callable[[str], bool],
    keep: Callable[[str], bool],
    dtype: Callable[[str], torch.dtype],
    device: torch.device,
) -> Weights:
    """Load a checkpoint, single or sharded, from ``model_dir``.

    ``expected`` maps the names found to the names and shapes that there must be. Tensors that
    ``skip`` picks are hashed and not looked at; of the others those that ``keep`` rejects are
    checked and dropped. ``dtype`` names the dtype that the tensor of a name shall have once loaded.

    Raises ScoringError: WEIGHTS_MISSING, WEIGHTS_NOT_SAFETENSORS, WEIGHTS_UNREADABLE,
    TENSOR_MISMATCH, TENSOR_NOT_FINITE.
    """
    paths = _find(model_dir)
    try:
        with ExitStack() as stack:
            files = [(path, stack.enter_context(path.open("rb"))) for path in paths]
            located = merge_headers(files)
            wanted = [entry for entry, _ in located if not skip(entry.name)]
            _check_headers(wanted, expected({entry.name for entry in wanted}))
            return _stream(located, skip, keep, dtype, device)
    except SafetensorsError as error:
        raise ScoringError(FailureCode.WEIGHTS_UNREADABLE, str(error), _REPUBLISH) from error
    except OSError as error:
        raise ScoringError(
            FailureCode.EVALUATOR_ERROR, f"cannot read the weights in {model_dir}: {error}"
        ) from error


def _find(model_dir: Path) -> tuple[Path, ...]:
    if not any(model_dir.rglob("*.safetensors")):
        suffixes = {path.suffix for path in model_dir.iterdir()}
        if suffixes & _PICKLE_SUFFIXES:
            raise ScoringError(
                FailureCode.WEIGHTS_NOT_SAFETENSORS,
                f"{model_dir.name} holds weights as pickles only, which can run code when loaded",
                _REPUBLISH,
            )
        raise ScoringError(
            FailureCode.WEIGHTS_MISSING, f"{model_dir.name} holds no safetensors file", _REPUBLISH
        )
    try:
        return find_safetensors(model_dir)
    except SafetensorsError as error:
        raise ScoringError(FailureCode.WEIGHTS_UNREADABLE, str(error), _REPUBLISH) from error


def _check_headers(entries: list[TensorEntry], shapes: Shapes) -> None:
    for entry in entries:
        if entry.name not in shapes:
            raise _mismatch(f"tensor {entry.name!r} does not belong to the model in the config")
        if entry.shape != shapes[entry.name]:
            raise _mismatch(
                f"tensor {entry.name!r} has shape {entry.shape}, the config implies "
                f"{shapes[entry.name]}"
            )
        if entry.dtype not in _DTYPES:
            raise _mismatch(f"tensor {entry.name!r} has dtype {entry.dtype}, not one of "
                            f"{', '.join(_DTYPES)}")  # fmt: skip
    missing = sorted(shapes.keys() - {entry.name for entry in entries})
    if missing:
        raise _mismatch(f"tensor {missing[0]!r} is missing ({len(missing)} missing in all)")


def _stream(
    located: list[tuple[TensorEntry, BinaryIO]],
    skip: Callable[[str], bool],
    keep: Callable[[str], bool],
    dtype: Callable[[str], torch.dtype],
    device: torch.device,
) -> Weights:
    hasher = WeightsHasher(len(located))
    tensors: dict[str, Tensor] = {}
    skipped = []
    for entry, file in located:
        hasher.begin(entry)
        if skip(entry.name):
            skipped.append(entry.name)
            for chunk in read_chunks(file, entry):
                hasher.data(chunk)
            continue
        buffer = _read(file, entry)
        hasher.data(memoryview(buffer))
        tensor = torch.frombuffer(buffer, dtype=_DTYPES[entry.dtype]).reshape(entry.shape)
        if not bool(torch.isfinite(tensor).all()):
            raise ScoringError(
                FailureCode.TENSOR_NOT_FINITE,
                f"tensor {entry.name!r} holds NaN or infinite values",
                "Publish a checkpoint from before training diverged.",
            )
        if keep(entry.name):
            tensors[entry.name] = tensor.to(device=device, dtype=dtype(entry.name))
    return Weights(tensors, hasher.hexdigest(), tuple(skipped))


def _read(file: BinaryIO, entry: TensorEntry) -> bytearray:
    buffer = bytearray(entry.nbytes)
    position = 0
    for chunk in read_chunks(file, entry):
        buffer[position : position + len(chunk)] = chunk
        position += len(chunk)
    return buffer


def _mismatch(message: str) -> ScoringError:
    return ScoringError(
        FailureCode.TENSOR_MISMATCH, message, "Publish config and weights of one and the same run."
    )
