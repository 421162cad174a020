"""A learned opinion predictor, stood in for by a small one that is exported on the spot."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from scoring.audio import Audio
from scoring.contract import FailureCode, Prompt
from scoring.errors import ScoringError
from scoring.metrics.human_likeness import WEIGHTS_WITH_LEARNED_MOS, HumanLikeness
from scoring.metrics.learned_mos import CARD, PROGRAM, LearnedMos
from scoring.tts.voices import load_voice

CARD_VALUES = {"name": "loudness", "lowest": 1.0, "human_median": 3.0}


class Loudness(torch.nn.Module):
    """An opinion between 1 and 5 that rises with the level."""

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return 1.0 + 4.0 * samples.abs().mean(dim=1).tanh()


class Broken(torch.nn.Module):
    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return samples.mean(dim=1) * math.nan


def export(module: torch.nn.Module, directory: Path, **card: object) -> Path:
    directory.mkdir()
    length = torch.export.Dim("n", min=2, max=16_000 * 120)
    program = torch.export.export(
        module, (torch.zeros(1, 16_000),), dynamic_shapes={"samples": {1: length}}
    )
    torch.export.save(program, directory / PROGRAM)
    (directory / CARD).write_text(json.dumps({**CARD_VALUES, **card}))
    return directory


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(Loudness(), tmp_path_factory.mktemp("mos") / "loudness")


def speech() -> Audio:
    prompt = Prompt(index=0, text="The kettle is on, come and sit down.", description="calm")
    spoken = next(load_voice("hibari").speak([prompt])).audio
    assert spoken is not None
    return spoken


def test_opinions_count_from_the_bottom_of_the_scale_to_the_median_of_people(
    directory: Path,
) -> None:
    predictor = LearnedMos.load(directory, device="cpu")

    assert [predictor.share(mos) for mos in (0.0, 1.0, 2.0, 3.0, 4.9)] == [0, 0, 0.5, 1, 1]
    for seconds in (1, 7):
        quiet, loud = (
            predictor.opinion(np.full(16_000 * seconds, level, np.float32)) for level in (0.1, 0.5)
        )
        assert 1.0 < quiet < loud < 5.0


def test_a_predictor_that_joins_is_reported_and_shares_a_fifth(directory: Path) -> None:
    predictor = LearnedMos.load(directory, device="cpu")
    alone, joined = HumanLikeness(), HumanLikeness(learned=predictor)

    before, after = alone.measure(speech()), joined.measure(speech())

    assert sum(WEIGHTS_WITH_LEARNED_MOS.values()) == pytest.approx(1.0)
    assert WEIGHTS_WITH_LEARNED_MOS["learned_mos"] <= 0.2
    share, natural = after.details["learned_mos"], after.details["naturalness"]
    assert 0.0 < share < 1.0
    assert after.value == pytest.approx(before.value * share**0.1 / natural**0.1)
    assert "learned_mos" not in before.details


def test_the_digest_names_program_and_card(directory: Path, tmp_path: Path) -> None:
    other = export(Loudness(), tmp_path / "other", human_median=3.5)

    first, second = (LearnedMos.load(d, device="cpu").info for d in (directory, other))

    assert first.name == second.name
    assert first.digest != second.digest


@pytest.mark.parametrize("card", [{"human_median": 0.5}, {"lowest": None}, {"surprise": 1}])
def test_a_card_that_makes_no_sense_is_refused(card: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match=CARD) as refused:
        LearnedMos.load(export(Loudness(), tmp_path / "mos", **card), device="cpu")
    assert refused.value.code is FailureCode.ASSET_MISSING


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScoringError, match=CARD):
        LearnedMos.load(tmp_path, device="cpu")
    (tmp_path / CARD).write_text(json.dumps(CARD_VALUES))
    with pytest.raises(ScoringError, match=PROGRAM):
        LearnedMos.load(tmp_path, device="cpu")
    (tmp_path / PROGRAM).write_bytes(b"not a program")
    with pytest.raises(ScoringError, match="does not load"):
        LearnedMos.load(tmp_path, device="cpu")


def test_an_opinion_that_is_not_finite_is_not_blamed_on_the_submission(tmp_path: Path) -> None:
    predictor = LearnedMos.load(export(Broken(), tmp_path / "broken"), device="cpu")

    with pytest.raises(ScoringError) as failed:
        predictor.opinion(np.zeros(16_000, np.float32))
    assert failed.value.code.fault == "evaluator"
