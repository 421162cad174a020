"""Where torch computes."""

from __future__ import annotations

import torch

from scoring.contract import FailureCode
from scoring.errors import ScoringError


def torch_device(name: str) -> torch.device:
    """The device that ``name`` (cpu, cuda, cuda:N) means.

    Raises ScoringError: BAD_REQUEST for another kind of name, DEVICE_UNAVAILABLE where torch sees
    no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _unknown(name) from error
    if device.type not in ("cpu", "cuda"):
        raise _unknown(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ScoringError(
            FailureCode.DEVICE_UNAVAILABLE,
            f"torch sees no device {name}, but {torch.cuda.device_count()} CUDA devices",
            "Check the driver with nvidia-smi, or ask for the device cpu.",
        )
    return device


def _unknown(name: str) -> ScoringError:
    return ScoringError(
        FailureCode.BAD_REQUEST, f"{name!r} names no device", "Ask for cpu, cuda or cuda:N."
    )
