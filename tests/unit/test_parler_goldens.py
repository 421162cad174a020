"""Greedy tokens equal parler-tts 0.2.3's, and the codec's sound equals its codec's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scoring.tts.parler import ParlerEngine
from scoring.tts.parler.slots import Generated
from scripts.make_miniature import MiniatureOptions, make_miniature

GOLDEN = Path(__file__).parents[1] / "golden"
VARIANTS = sorted(path.stem.removeprefix("parler_") for path in GOLDEN.glob("parler_*.json"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def _load(golden: dict[str, Any], directory: Path) -> ParlerEngine:
    make_miniature(directory, seed=golden["seed"], options=MiniatureOptions(**golden["options"]))
    engine = ParlerEngine.load(directory, device="cpu")
    assert engine.weights_digest == golden["weights_digest"], "the recipe made another miniature"
    return engine


def _rows(lines: list[str]) -> list[list[int]]:
    return [[int(token) for token in line.split()] for line in lines]


def test_there_is_a_golden_for_every_variant_of_the_architecture() -> None:
    assert {"sinusoidal", "rope", "grouped_heads", "rope_grouped_heads"} <= set(VARIANTS)
    assert {"fused_heads", "prompt_cross_attention", "projection"} <= set(VARIANTS)
    assert {"four_codebooks", "stray_ids", "capped"} <= set(VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_golden_is_long_and_varied_enough_to_prove_something(variant: str) -> None:
    spoken = _golden(f"parler_{variant}")["spoken"]
    assert len(spoken) >= 4
    assert all(one["columns"] >= 50 for one in spoken)
    assert all(len({t for row in one["codes"] for t in row.split()}) >= 100 for one in spoken)
    assert any(not one["truncated"] for one in spoken)
    assert all(one["margin"] >= 2e-4 for one in spoken)
    assert any(one["truncated"] for one in spoken) == (variant == "capped")


@pytest.mark.parametrize("variant", VARIANTS)
def test_greedy_tokens_equal_the_reference(variant: str, tmp_path: Path) -> None:
    golden = _golden(f"parler_{variant}")
    engine = _load(golden, tmp_path)
    prompts = [one["prompt"] for one in golden["spoken"]]
    for one, generated in zip(
        golden["spoken"], engine.greedy(prompts, golden["description"]), strict=True
    ):
        _assert_same(generated, one)


def test_greedy_tokens_do_not_depend_on_the_neighbours(tmp_path: Path) -> None:
    golden = _golden("parler_sinusoidal")
    engine = _load(golden, tmp_path)
    # More prompts than slots, so that slots are refilled in mid-course.
    spoken = [golden["spoken"][place] for place in (0, 3, 2, 1, 1, 0, 2, 3, 3, 0, 1)]
    together = engine.greedy([one["prompt"] for one in spoken], golden["description"])
    for one, generated in zip(spoken, together, strict=True):
        _assert_same(generated, one)


def _assert_same(generated: Generated, golden: dict[str, Any]) -> None:
    assert generated.codes.tolist() == _rows(golden["codes"])
    assert generated.columns == golden["columns"]
    assert generated.truncated == golden["truncated"]


@pytest.mark.slow
def test_codec_under_descripts_names_sounds_like_descripts(tmp_path: Path) -> None:
    golden = _golden("descript_codec")
    engine = _load(golden, tmp_path)
    audio = engine.decode(torch.tensor(_rows(golden["codes"])))
    assert audio.shape == (golden["samples"],)
    np.testing.assert_allclose(audio[:: golden["sample_step"]], golden["audio"], atol=2e-5)
    assert np.std(golden["audio"]) > 0.01
