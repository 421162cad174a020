"""In which numbers a decoder speaks: float32, or bfloat16 where a GPU reads half the bytes."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from scoring.tts.parler.linear import Linear

Precision = Literal["float32", "bfloat16"]
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}

T = TypeVar("T")


def usual_precision(device: torch.device) -> Precision:
    """What a model speaks in on ``device`` unless told otherwise.

    Text encoder and codec stay in float32 everywhere: they are a small part of the time.
    """
    return "bfloat16" if device.type == "cuda" else "float32"


def lowered(parts: T, precision: Precision) -> T:
    """``parts``, a tree of frozen dataclasses and tuples, with its tensors in ``precision``.

    What is in it already is shared and not copied.
    """
    lower: T = _lowered(parts, DTYPES[precision])
    return lower


def _lowered(part: Any, dtype: torch.dtype) -> Any:
    if isinstance(part, Linear):
        return part if part.weight.dtype == dtype else Linear.of(part.plain().to(dtype))
    if isinstance(part, Tensor):
        return part.to(dtype)
    if isinstance(part, tuple):
        return tuple(_lowered(one, dtype) for one in part)
    if is_dataclass(part) and not isinstance(part, type):
        inner = {f.name: _lowered(getattr(part, f.name), dtype) for f in fields(part)}
        return replace(part, **inner)
    return part
