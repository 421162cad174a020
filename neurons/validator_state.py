"""What a validator remembers on disk: its last weights, and the snapshots that it has seen.

The file is replaced whole. One that cannot be read, or that another version wrote, is put aside
and the validator starts with nothing remembered: then nothing is set until there are scores, and
weights that stand on the chain are never overwritten by zeroes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from neurons.validator_audit_book import AuditBook
from scoring.contract import Hex64
from utilities.errors import SubnetError
from utilities.files import replace_file

MAX_SNAPSHOTS: Final = 4_096
"""Digests that are remembered; older rounds are forgotten first."""

log = logging.getLogger(__name__)


class StateError(SubnetError):
    """The state can be neither read nor written."""

    code: ClassVar[str] = "VALIDATOR_STATE"


def _some_weight(weights: dict[str, float]) -> dict[str, float]:
    if not all(weight > 0 for weight in weights.values()) or not weights:
        raise ValueError("weights must be positive, and at least one")
    if not math.isfinite(sum(weights.values())):
        raise ValueError("weights are too large")
    return weights


class LastWeights(BaseModel):
    """Weights by hotkey, as they were computed at ``block``. All are positive."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    block: int = Field(ge=0)
    by_hotkey: Annotated[dict[str, float], AfterValidator(_some_weight)]


class ValidatorState(BaseModel):
    """``weights``: the newest computed, set or not. ``set_at``: the block of the last that were
    set. ``snapshots``: the digest of every round that was seen. ``failures``: how often in a row
    weights could not be set. ``audits``: what this validator's own audits found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    weights: LastWeights | None = None
    set_at: int | None = Field(default=None, ge=0)
    snapshots: dict[int, Hex64] = Field(default_factory=dict)
    failures: int = Field(default=0, ge=0)
    audits: AuditBook = AuditBook()

    def with_weights(self, block: int, by_hotkey: Mapping[str, float]) -> ValidatorState:
        """The state after weights were computed; zeroes are left out. ValueError without any."""
        positive = {hotkey: weight for hotkey, weight in by_hotkey.items() if weight > 0}
        return self.model_copy(update={"weights": LastWeights(block=block, by_hotkey=positive)})

    def with_set(self, block: int) -> ValidatorState:
        """The state after weights were set."""
        return self.model_copy(update={"set_at": block, "failures": 0})

    def with_failure(self) -> ValidatorState:
        """The state after weights could not be set."""
        return self.model_copy(update={"failures": self.failures + 1})

    def with_audits(self, audits: AuditBook) -> ValidatorState:
        """The state after audits."""
        return self.model_copy(update={"audits": audits})

    def with_snapshots(self, digests: Mapping[int, str]) -> ValidatorState:
        """The state after rounds were seen; the first digest of a round stays."""
        newest = sorted({**digests, **self.snapshots}.items())[-MAX_SNAPSHOTS:]
        return self.model_copy(update={"snapshots": dict(newest)})


class StateFile:
    """The state of one hotkey on one subnet, below ``directory``."""

    def __init__(self, directory: Path, *, netuid: int, mechid: int, hotkey: str) -> None:
        self.path: Final = directory / f"state-{netuid}-{mechid}-{hotkey}.json"

    def read(self) -> ValidatorState:
        """The state; an empty one where there is none that can be used. Raises StateError."""
        try:
            return ValidatorState.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return ValidatorState()
        except ValidationError as error:
            log.warning("%s cannot be used: %s", self.path, error)
            self._put_aside()
            return ValidatorState()
        except OSError as error:
            raise self._unusable("read", error) from error

    def write(self, state: ValidatorState) -> None:
        """Replace the state. Raises StateError."""
        try:
            replace_file(self.path, state.model_dump_json(indent=1) + "\n")
        except OSError as error:
            raise self._unusable("write", error) from error

    def _put_aside(self) -> None:
        aside = self.path.with_suffix(".unusable")
        try:
            self.path.replace(aside)
        except OSError as error:
            raise self._unusable("move", error) from error
        log.warning("it is kept as %s; the validator starts with nothing remembered", aside)

    def _unusable(self, verb: str, error: OSError) -> StateError:
        return StateError(
            f"cannot {verb} {self.path}: {error}",
            "Make room, correct the rights, or name another directory with VAR_DIR.",
        )
