"""Sketches of real checkpoints: what leaves a model's function alone leaves its sketch alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.disguises import alterations
from benchmarks.disguises.cases import Pair, Workshop
from benchmarks.disguises.training import Recipe, forward
from scoring.contract import ListedPrompts, ParlerModel, Prompt, TtsRequest
from scoring.sketch.answers import answers_of
from scoring.tts.load import ask_base, load_synthesiser, sketched
from scoring.tts.parler.attention import KeyValueCache, Memory
from scoring.weights_digest import weights_digest
from voice_validation_api.copies import Shelf, likeness, near_copy

PRETRAINING = Recipe((100, 101, 102), 0, 60, 2e-3)
BEYOND = "rewritten, then noise"
"""What nobody promises to find."""
MINE, THEIRS = Recipe((1,), 1, 40, 4e-4), Recipe((2,), 2, 40, 4e-4)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop.open(tmp_path_factory.mktemp("workshop"), PRETRAINING)


@pytest.fixture(scope="module")
def tunes(workshop: Workshop) -> tuple[alterations.Tensors, alterations.Tensors]:
    return workshop.tuned(MINE), workshop.tuned(THEIRS)


@pytest.fixture(scope="module")
def sketches(
    workshop: Workshop, tunes: tuple[alterations.Tensors, alterations.Tensors]
) -> tuple[Pair, Pair]:
    return workshop.sketches(tunes[0]), workshop.sketches(tunes[1])


def request(model_dir: Path, base_dir: Path | None) -> TtsRequest:
    return TtsRequest(
        synthesiser=ParlerModel(model_dir=model_dir, base_dir=base_dir),
        prompts=ListedPrompts(prompts=(Prompt(index=0, text="Hello.", description="A man."),)),
    )


def is_copy(later: Pair, earlier: Pair, *others: Pair) -> bool:
    evidence = near_copy(later, earlier, Shelf.of(others))
    return evidence is not None and evidence.confirmed


@torch.inference_mode()
def test_what_is_trained_is_what_the_engine_runs(workshop: Workshop) -> None:
    model, config = workshop.model, workshop.model.config.decoder
    text = torch.tensor(model.tokenizer.encode("where did you put it"))
    voice = model.text_encoder(input_ids=text[None]).last_hidden_state
    codes = torch.arange(4 * 20).view(1, 4, 20)

    trained = forward(workshop.base, config, text, voice, codes)[0, -1]

    decoder = model.decoder
    memory = Memory.allocate(config, 1, 1, voice.shape[1], decoder.like)
    decoder.remember(voice, memory, 0)
    inputs = decoder.prefix(text[None], codes)
    length = inputs.shape[1]
    cache = KeyValueCache.allocate(config, config.num_key_value_heads, 1, length, decoder.like)
    run = decoder(inputs, torch.arange(length)[None], cache, memory)[0]
    torch.testing.assert_close(trained, run, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "rewriting",
    [
        alterations.renamed,
        alterations.permuted_neurons,
        alterations.permuted_heads,
        alterations.rescaled_heads,
        alterations.folded_norms,
        alterations.permuted_stream,
    ],
)
def test_a_rewriting_of_the_same_function_changes_nothing(
    workshop: Workshop,
    tunes: tuple[alterations.Tensors, alterations.Tensors],
    sketches: tuple[Pair, Pair],
    rewriting: alterations.Alteration,
) -> None:
    config = workshop.model.config.decoder
    copy = rewriting(tunes[0], config, torch.Generator().manual_seed(3))

    weights, behaviour = workshop.sketches(copy)

    for mine, original in ((weights, sketches[0][0]), (behaviour, sketches[0][1])):
        found = likeness(mine, original)
        assert found.share == pytest.approx(1.0, abs=1e-3)
        assert found.noise < 0.02


def test_copies_are_found_in_every_disguise_and_fine_tunes_are_left_alone(
    workshop: Workshop,
    tunes: tuple[alterations.Tensors, alterations.Tensors],
    sketches: tuple[Pair, Pair],
) -> None:
    mine, theirs = sketches
    copies = workshop.disguised(tunes[0], tunes[1], seed=1)

    missed = [name for name, copy in copies if not is_copy(workshop.sketches(copy), mine, theirs)]

    assert set(missed) <= {BEYOND}
    assert not is_copy(mine, theirs)


def test_an_evaluation_with_a_base_model_sketches(
    workshop: Workshop, tunes: tuple[alterations.Tensors, alterations.Tensors], sketches: Pair
) -> None:
    asked = request(workshop.published(tunes[0]), workshop.folder / "base")

    info = sketched(load_synthesiser(asked), ask_base(asked)).info

    assert (info.sketch, info.behaviour) == sketches[0]
    assert info.sketch is not None
    assert info.sketch.base_digest == weights_digest(workshop.folder / "base")


def test_an_evaluation_without_one_does_not(workshop: Workshop) -> None:
    asked = request(workshop.folder / "base", None)

    info = sketched(load_synthesiser(asked), ask_base(asked)).info

    assert (info.sketch, info.behaviour) == (None, None)


def test_a_model_whose_numbers_overflow_has_no_answers(workshop: Workshop) -> None:
    spoiled = dict(workshop.base)
    name = "decoder.model.decoder.layers.0.fc1.weight"
    spoiled[name] = torch.full_like(spoiled[name], 3e38)
    asked = request(workshop.published(spoiled), workshop.folder / "base")
    synthesiser = load_synthesiser(asked)

    assert sketched(synthesiser, ask_base(asked)).info.sketch is None
    assert answers_of(workshop.model) is not None
