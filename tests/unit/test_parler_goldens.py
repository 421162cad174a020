"""Greedy tokens equal parler-tts 0.2.3's, and the codec's sound equals its codec's."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scoring.tts.parler import ParlerEngine
from scoring.tts.parler.attention import KeyValueCache, Memory
from scoring.tts.parler.load import LoadedModel, Place, load_model
from scoring.tts.parler.sampling import warped
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


def _digest(codes: torch.Tensor) -> str:
    lines = "\n".join(" ".join(map(str, row)) for row in codes.tolist())
    return hashlib.sha256(lines.encode()).hexdigest()


def test_there_is_a_golden_for_every_variant_of_the_architecture() -> None:
    assert {"sinusoidal", "rope", "grouped_heads", "rope_grouped_heads"} <= set(VARIANTS)
    assert {"fused_heads", "prompt_cross_attention", "projection"} <= set(VARIANTS)
    assert {"four_codebooks", "stray_ids", "capped", "early"} <= set(VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_golden_is_long_and_varied_enough_to_prove_something(variant: str) -> None:
    golden = _golden(f"parler_{variant}")
    spoken = golden["spoken"]
    assert len(spoken) >= 20
    assert len({one["codes_sha256"] for one in spoken}) > 5
    assert all(one["margin"] >= 1e-4 for one in spoken)
    assert any(not one["truncated"] for one in spoken)
    shortest = golden["options"]["min_new_tokens"]
    assert all(one["columns"] >= shortest for one in spoken)
    if variant == "capped":
        assert any(one["truncated"] for one in spoken)
    if variant == "early":
        assert any(one["columns"] < 50 for one in spoken)
    else:
        assert shortest >= 50


@pytest.mark.parametrize("variant", VARIANTS)
def test_greedy_tokens_equal_the_reference(variant: str, tmp_path: Path) -> None:
    golden = _golden(f"parler_{variant}")
    engine = _load(golden, tmp_path)
    prompts = [one["prompt"] for one in golden["spoken"]]
    for one, generated in zip(
        golden["spoken"], engine.greedy(prompts, golden["description"]), strict=True
    ):
        _assert_same(generated, one)


@pytest.mark.parametrize("variant", ["sinusoidal", "rope_grouped_heads", "prompt_cross_attention"])
def test_sampling_gives_tokens_the_references_chances(variant: str, tmp_path: Path) -> None:
    golden = _golden(f"parler_{variant}")
    _load(golden, tmp_path)
    place = Place(torch.device("cpu"), 1 << 40)
    model = load_model(tmp_path, place=place, base_dir=None)
    settings = replace(model.settings, do_sample=True, **golden["sampling"])
    for chances in golden["spoken"][0]["chances"]:
        scores = _scores(model, golden, chances["column"], settings.min_new_tokens)
        ours = warped(scores, settings).softmax(dim=-1)
        tokens = torch.tensor(_rows(chances["tokens"]))
        expected = [[float(p) for p in row.split()] for row in chances["probabilities"]]
        np.testing.assert_allclose(ours.gather(1, tokens), expected, atol=2e-5)
        assert int((ours > 0).sum(dim=1).max()) <= settings.top_k


def test_greedy_tokens_do_not_depend_on_the_neighbours(tmp_path: Path) -> None:
    golden = _golden("parler_sinusoidal")
    engine = _load(golden, tmp_path)
    # More prompts than slots, so that slots are refilled in mid-course, in another order.
    spoken = [golden["spoken"][(7 * place) % 20] for place in range(36)]
    together = engine.greedy([one["prompt"] for one in spoken], golden["description"])
    for one, generated in zip(spoken, together, strict=True):
        _assert_same(generated, one)
    [alone] = engine.greedy([spoken[5]["prompt"]], golden["description"])
    _assert_same(alone, spoken[5])


def _assert_same(generated: Generated, golden: dict[str, Any]) -> None:
    if "codes" in golden:  # tells more when it fails
        assert generated.codes.tolist() == _rows(golden["codes"])
    assert _digest(generated.codes) == golden["codes_sha256"]
    assert generated.columns == golden["columns"]
    assert generated.truncated == golden["truncated"]


def _scores(model: LoadedModel, golden: dict[str, Any], column: int, shortest: int) -> torch.Tensor:
    """Logits (codebooks, vocabulary) of a column, from all columns before it in one pass."""
    assert column <= shortest, "the end must be forbidden in every codebook"
    first = golden["spoken"][0]
    config, like = model.config.decoder, model.decoder.like
    columns = torch.full((1, config.num_codebooks, column), model.settings.bos_token_id)
    for codebook, row in enumerate(_rows(first["codes"])):
        said = row[: max(0, column - codebook - 1)]
        columns[0, codebook, codebook + 1 :] = torch.tensor(said)
    ids = torch.tensor([[int(token) for token in first["prompt_ids"].split()]])
    description = torch.tensor([model.tokenizer.encode(golden["description"])])
    decoder = model.decoder
    with torch.inference_mode():
        hidden = model.text_encoder(input_ids=description).last_hidden_state
        states = decoder.memory_states(decoder.described(hidden), ids)
        memory = Memory.allocate(config, 1, 1, states.shape[1], like)
        decoder.remember(states, memory, 0)
        inputs = decoder.prefix(ids, columns)
        length = inputs.shape[1]
        cache = KeyValueCache.allocate(config, config.num_key_value_heads, 1, length, like)
        logits = decoder(inputs, torch.arange(length)[None], cache, memory)[0]
        logits[:, model.settings.eos_token_id] = -torch.inf
    return logits.clone()


@pytest.mark.slow
def test_codec_under_descripts_names_sounds_like_descripts(tmp_path: Path) -> None:
    golden = _golden("descript_codec")
    engine = _load(golden, tmp_path)
    audio = engine.decode(torch.tensor(_rows(golden["codes"])))
    assert audio.shape == (golden["samples"],)
    np.testing.assert_allclose(audio[:: golden["sample_step"]], golden["audio"], atol=2e-5)
    assert np.std(golden["audio"]) > 0.01
