"""A learned predictor of listeners' opinions, such as UTMOSv2, where an operator has its weights.

It is a directory with two files. ``program.pt2``, written by ``torch.export.save``, takes float32
samples (1, n) at 16 kHz, prepared as every metric hears them, and gives one opinion. ``card.json``
says how to read it::

    {"name": "UTMOSv2", "lowest": 1.0, "human_median": 3.4}

``human_median`` is the median of what it gives to recordings of people. As with DNSMOS, more than
that tells nothing, because such predictors rank good synthesis above people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from scoring.asr.weights import files_digest
from scoring.contract import FailureCode, LearnedMosInfo, Record
from scoring.errors import ScoringError

PROGRAM, CARD = "program.pt2", "card.json"
MAX_CARD_BYTES = 1 << 16


class Card(Record):
    """How to read the predictor's opinions."""

    name: str = Field(min_length=1, max_length=64)
    lowest: float
    human_median: float

    @model_validator(mode="after")
    def _ordered(self) -> Card:
        if not self.lowest < self.human_median:
            raise ValueError("human_median must lie above lowest")
        return self


@dataclass(frozen=True)
class LearnedMos:
    """A loaded predictor."""

    info: LearnedMosInfo
    card: Card
    module: Any
    device: str

    @classmethod
    def load(cls, directory: Path, *, device: str) -> LearnedMos:
        """Raises ScoringError: ASSET_MISSING for files that are missing or do not load,
        DEVICE_UNAVAILABLE."""
        import torch  # noqa: PLC0415 - the other metrics need no torch

        from scoring.torch_device import torch_device  # noqa: PLC0415

        torch_device(device)
        card = _read_card(directory / CARD)
        program = directory / PROGRAM
        if not program.is_file():
            raise _unusable(directory, f"{PROGRAM} is missing")
        try:
            module = torch.export.load(program).module().to(device)
        except (BadZipFile, RuntimeError, ValueError, KeyError, OSError) as error:
            raise _unusable(directory, f"{PROGRAM} does not load: {error}") from error
        digest = files_digest([directory / CARD, program])
        return cls(LearnedMosInfo(name=card.name, digest=digest), card, module, device)

    def opinion(self, samples: NDArray[np.float32]) -> float:
        """The opinion about prepared samples (n,) at 16 kHz.

        Raises ScoringError EVALUATOR_ERROR where it is not one finite number: the predictor is
        ours, so no model can be blamed.
        """
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            given = self.module(torch.from_numpy(samples)[None].to(self.device))
        if given.numel() != 1 or not math.isfinite(value := float(given)):
            raise ScoringError(
                FailureCode.EVALUATOR_ERROR,
                f"{self.card.name} gave {given.numel()} figures, or one that is not finite",
                "Export a predictor that gives one opinion for samples (1, n).",
            )
        return value

    def share(self, opinion: float) -> float:
        """Where an opinion lies between the bottom of the scale and the median of people, 0-1."""
        span = self.card.human_median - self.card.lowest
        return min(max((opinion - self.card.lowest) / span, 0.0), 1.0)


def _read_card(path: Path) -> Card:
    try:
        with path.open("rb") as file:
            return Card.model_validate_json(file.read(MAX_CARD_BYTES))
    except OSError as error:
        raise _unusable(path.parent, f"{CARD} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise _unusable(path.parent, f"{CARD}: {error.errors()[0]['msg']}") from error


def _unusable(directory: Path, what: str) -> ScoringError:
    return ScoringError(
        FailureCode.ASSET_MISSING,
        f"the opinion predictor in {directory} cannot be used: {what}",
        "docs/scoring.md says what the directory holds.",
    )
