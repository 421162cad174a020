"""Speaking in bfloat16: the same model, half the bytes, nearly the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from miniatures import DESCRIPTION

from scoring.sketch.answers import answers_of
from scoring.tts.parler import ParlerEngine, SpeakRequest, Spoken
from scoring.tts.parler.attention import KeyValueCache, Memory
from scoring.tts.parler.linear import Linear
from scoring.tts.parler.load import LoadedModel, Place, load_model
from scoring.tts.parler.precision import lowered, usual_precision
from scripts.make_miniature import MiniatureOptions, make_miniature

CPU = torch.device("cpu")
VARIANTS = {
    "sinusoidal": MiniatureOptions(),
    "rope, grouped heads": MiniatureOptions("rope", key_value_heads=2, cross_key_value_heads=1),
    "prompt cross-attention": MiniatureOptions(prompt_cross_attention=True),
    "projection": MiniatureOptions(text_width=96, fused_heads=True),
}


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("model")
    make_miniature(directory, seed=1)
    return directory


@torch.inference_mode()
def _logits(model: LoadedModel, prompt: list[int]) -> torch.Tensor:
    """What the model thinks comes after the start column and after one more, greedily chosen."""
    decoder, config = model.decoder, model.config.decoder
    ids = torch.tensor([prompt])
    states = decoder.memory_states(decoder.described(model.text_encoder(ids)[0]), ids)
    memory = Memory.allocate(config, 1, 1, states.shape[1], decoder.like)
    decoder.remember(states, memory, 0)
    cache = KeyValueCache.allocate(config, config.num_key_value_heads, 1, 32, decoder.like)
    start = torch.full((1, config.num_codebooks, 1), model.settings.bos_token_id)
    inputs = decoder.prefix(ids, start)
    positions = torch.arange(inputs.shape[1])[None]
    first = decoder(inputs, positions, cache, memory)
    second = decoder(decoder.embed(start.transpose(1, 2)), positions[:, -1:] + 1, cache, memory)
    return torch.cat((first, second))


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_those_of_float32_but_for_rounding(variant: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    make_miniature(tmp_path, seed=2, options=VARIANTS[variant])
    model = load_model(tmp_path, place=Place(CPU, 1 << 40), base_dir=None)
    prompt = model.tokenizer.encode("She said hello.")
    exact, rounded = _logits(model, prompt), _logits(model.speaking_in("bfloat16"), prompt)
    assert rounded.dtype == torch.float32
    error = (rounded - exact).norm() / exact.norm()
    # Numbers of eight bits are off by up to 0.4 %, and a handful of blocks adds to that.
    assert 0 < error < 0.02


def test_half_the_bytes_and_nothing_copied_that_is_lowered_already(model_dir: Path) -> None:
    model = load_model(model_dir, place=Place(CPU, 1 << 40), base_dir=None)
    half = lowered(model.decoder.parameters, "bfloat16")
    assert half.audio_table.element_size() == 2
    assert half.layers[0].qkv.weight.element_size() == 2
    assert half.layers[0].self_norm.bias.element_size() == 2
    again = lowered(half, "bfloat16")
    assert again.audio_table is half.audio_table
    assert again.layers[0].qkv is half.layers[0].qkv


def test_a_packed_matrix_is_lowered_from_what_it_was(model_dir: Path) -> None:
    weight = torch.randn(48, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Linear.of(weight).plain(), weight)
    assert torch.equal(lowered(Linear.of(weight), "bfloat16").weight, weight.bfloat16())


def _spoken(engine: ParlerEngine, requests: list[SpeakRequest]) -> list[Spoken]:
    return sorted(engine.speak(requests), key=lambda spoken: spoken.index)


def test_it_speaks_and_neighbours_change_nothing(model_dir: Path) -> None:
    engine = ParlerEngine.load(model_dir, device="cpu", precision="bfloat16")
    texts = ("Look down.", "She said hello and walked home.", "No.")
    requests = [SpeakRequest(text, DESCRIPTION, n, 0.6) for n, text in enumerate(texts * 2)]
    together = _spoken(engine, requests)
    assert all(one.failure is None for one in together)
    for place in (0, 4):
        [alone] = engine.speak([requests[place]])
        assert alone.audio is not None
        np.testing.assert_array_equal(alone.audio, together[place].audio)


def test_lowering_leaves_the_model_that_is_asked_for_sketches_as_it_was(model_dir: Path) -> None:
    model = load_model(model_dir, place=Place(CPU, 1 << 40), base_dir=None)
    before = answers_of(model)
    engine = ParlerEngine(model, Place.on("cpu", precision="bfloat16"))
    assert engine.greedy(["No."], DESCRIPTION)
    after = answers_of(model)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(after.whole, before.whole)


def test_a_gpu_speaks_in_bfloat16_unless_told_otherwise() -> None:
    assert usual_precision(torch.device("cuda:1")) == "bfloat16"
    assert usual_precision(CPU) == "float32"
