"""Typed, bounded reading of the JSON files that a stranger wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scoring.contract import FailureCode
from scoring.errors import ScoringError

MAX_JSON_BYTES = 1 << 20
REMEDY = "Publish the configuration that parler-tts saved with the model."


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises ScoringError (CONFIG_INVALID)."""
    if path.is_symlink() or not path.is_file():
        raise invalid(f"{path.name} is missing or no regular file")
    with path.open("rb") as file:
        raw = file.read(MAX_JSON_BYTES + 1)
    if len(raw) > MAX_JSON_BYTES:
        raise invalid(f"{path.name} is larger than {MAX_JSON_BYTES} bytes")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise invalid(f"{path.name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise invalid(f"{path.name} holds no JSON object")
    return value


def invalid(message: str) -> ScoringError:
    """The error for a configuration that cannot be used."""
    return ScoringError(FailureCode.CONFIG_INVALID, message, REMEDY)


def too_large(message: str) -> ScoringError:
    """The error for a configuration that would need absurd amounts of memory."""
    return ScoringError(FailureCode.CONFIG_TOO_LARGE, message, "Use the base model's sizes.")


@dataclass(frozen=True)
class Fields:
    """One JSON object whose fields are read by type and range; ``where`` names it in errors.

    A field that is absent or null takes the default; without one that raises ScoringError
    (CONFIG_INVALID), as does every wrong type or value. Integers above their bound raise
    CONFIG_TOO_LARGE.
    """

    values: dict[str, Any]
    where: str

    def section(self, name: str) -> Fields:
        """A nested object."""
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise invalid(f"{self.where} has no object {name!r}")
        return Fields(value, f"{self.where}: {name}")

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """An integer in [low, high]."""
        value = self._get(name, default)
        if type(value) is not int or value < low:
            raise invalid(f"{self.where}: {name} is {value!r:.100}, not an integer from {low}")
        if value > high:
            raise too_large(f"{self.where}: {name} is {value!r:.100}, more than {high}")
        return value

    def index(self, name: str, count: int, default: int | None = None) -> int:
        """An index into ``count`` things."""
        value = self._get(name, default)
        if type(value) is not int or not 0 <= value < count:
            raise invalid(f"{self.where}: {name} is {value!r:.100}, not an index below {count}")
        return value

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number in [low, high]."""
        value = self._get(name, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            raise invalid(f"{self.where}: {name} is {value!r:.100}, not within [{low}, {high}]")
        return float(value)

    def boolean(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise invalid(f"{self.where}: {name} is {value!r:.100}, neither true nor false")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """One of a few strings."""
        value = self._get(name, default)
        if not isinstance(value, str) or value not in choices:
            raise invalid(f"{self.where}: {name} is {value!r:.100}, not one of {choices}")
        return value

    def integers(
        self, name: str, low: int, high: int, max_length: int, default: tuple[int, ...]
    ) -> tuple[int, ...]:
        """A non-empty list of integers in [low, high]."""
        value = self._get(name, list(default))
        if not isinstance(value, list) or not 1 <= len(value) <= max_length:
            raise invalid(f"{self.where}: {name} is not a list of 1 to {max_length} integers")
        if not all(type(item) is int and low <= item <= high for item in value):
            raise invalid(f"{self.where}: {name} holds more than integers in [{low}, {high}]")
        return tuple(value)

    def _get(self, name: str, default: object) -> Any:
        value = self.values.get(name)
        if value is None:
            value = default
        if value is None:
            raise invalid(f"{self.where} lacks {name!r}")
        return value
