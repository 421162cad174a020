"""Whether torch can compute where it is asked to."""

from __future__ import annotations

import torch

from scoring.contract import FailureCode
from scoring.errors import ScoringError


def require_torch_device(device: str) -> None:
    """Raise ScoringError DEVICE_UNAVAILABLE where torch has no ``device`` (cpu, cuda, cuda:N)."""
    _, _, index = device.partition(":")
    if device != "cpu" and int(index or 0) >= torch.cuda.device_count():
        raise ScoringError(
            FailureCode.DEVICE_UNAVAILABLE,
            f"torch sees no device {device}",
            "Check the driver with nvidia-smi, or ask for the device cpu.",
        )
