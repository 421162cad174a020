"""Miniatures for the tests, and ways to spoil them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

Tensors = dict[str, NDArray[Any]]
DESCRIPTION = "A female speaker with a warm voice."


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite a JSON file after ``change`` has altered its object in place."""
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def edit_tensors(directory: Path, change: Callable[[Tensors], None]) -> None:
    """Rewrite a miniature's weights after ``change`` has altered their mapping in place."""
    path = directory / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    path.unlink()
    save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, path)
