"""Loads a checkpoint's tensors from safetensors, trusting nothing that the files say.

Files are mapped, see `mapped_file`. Each tensor is hashed and checked where it lies in its file and
then either stays there, if dtype and device are right, or is converted from there, one after the
other. So there is never a second copy of the whole, and no buffer is larger than a tensor.
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
from scoring.tts.parler.mapped_file import MappedFile, tensor_of, unchanging
from scoring.weights_digest import (
    SafetensorsError,
    TensorEntry,
    WeightsHasher,
    find_safetensors,
    merge_headers,
)

Shapes = Mapping[str, tuple[int, ...]]
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
_REPUBLISH = "Publish the checkpoint again with save_pretrained(..., safe_serialization=True)."


@dataclass(frozen=True)
class Weights:
    """Tensors in float32 on the device asked for, and the digest of everything in the files.

    What needed no change lies in its file, see `MappedFile`: a tensor that is let go takes no
    memory, and one that stays takes none that the system cannot take back.
    """

    tensors: dict[str, Tensor]
    digest: str
    skipped: tuple[str, ...]


def read_weights(
    model_dir: Path,
    *,
    expected: Callable[[AbstractSet[str]], Shapes],
    skip: Callable[[str], bool],
    keep: Callable[[str], bool],
    device: torch.device,
) -> Weights:
    """Load a checkpoint, single or sharded, from ``model_dir``.

    ``expected`` maps the names found to the names and shapes that there must be. Tensors that
    ``skip`` picks are hashed and not looked at; of the others those that ``keep`` rejects are
    checked and dropped.

    Raises ScoringError: WEIGHTS_MISSING, WEIGHTS_NOT_SAFETENSORS, WEIGHTS_UNREADABLE,
    TENSOR_MISMATCH, TENSOR_NOT_FINITE, EVALUATOR_ERROR if a file cannot be read or changes
    meanwhile.
    """
    paths = _find(model_dir)
    try:
        with ExitStack() as stack:
            files = [(path, stack.enter_context(path.open("rb"))) for path in paths]
            for path, file in files:
                stack.enter_context(unchanging(path, file))
            located = merge_headers(files)
            wanted = [entry for entry, _ in located if not skip(entry.name)]
            _check_headers(wanted, expected({entry.name for entry in wanted}))
            return _load(located, skip, keep, device)
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


def _load(
    located: list[tuple[TensorEntry, BinaryIO]],
    skip: Callable[[str], bool],
    keep: Callable[[str], bool],
    device: torch.device,
) -> Weights:
    mapped = _mapped(located)
    hasher = WeightsHasher(len(located))
    tensors: dict[str, Tensor] = {}
    skipped = []
    for entry, file in located:
        data = mapped[file].bytes_of(entry)
        hasher.begin(entry)
        hasher.data(data)
        if skip(entry.name):
            skipped.append(entry.name)
            continue
        tensor = tensor_of(data, entry, _DTYPES[entry.dtype])
        _check_finite(tensor, entry.name)
        if keep(entry.name):
            # What is stored in fewer bits travels to a device as it is.
            tensors[entry.name] = tensor.to(device).float()
    return Weights(tensors, hasher.hexdigest(), tuple(skipped))


def _mapped(located: list[tuple[TensorEntry, BinaryIO]]) -> dict[BinaryIO, MappedFile]:
    ends: dict[BinaryIO, int] = {}
    for entry, file in located:
        ends[file] = max(ends.get(file, 0), entry.offset + entry.nbytes)
    return {file: MappedFile(file, end) for file, end in ends.items()}


def _check_finite(tensor: Tensor, name: str) -> None:
    # NaN is passed on by both; no array of flags is made, which isfinite would do.
    if tensor.numel() and not all(bool(end.isfinite()) for end in torch.aminmax(tensor)):
        raise ScoringError(
            FailureCode.TENSOR_NOT_FINITE,
            f"tensor {name!r} holds NaN or infinite values",
            "Publish a checkpoint from before training diverged.",
        )


def _mismatch(message: str) -> ScoringError:
    return ScoringError(
        FailureCode.TENSOR_MISMATCH, message, "Publish config and weights of one and the same run."
    )
