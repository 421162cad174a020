"""Miniature checkpoints for tests, and ways to spoil them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

Tensors = dict[str, NDArray[Any]]


def edit_tensors(model: Path, change: Callable[[Tensors], None]) -> None:
    """Rewrite the weights after ``change`` had its way with them."""
    path = model / "model.safetensors"
    tensors = {name: np.array(tensor) for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def edit_config(model: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite config.json after ``change`` had its way with it."""
    path = model / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
