"""How likely miniatures find a recording, held against what the numbers must be."""

from __future__ import annotations

import json
import math
from pathlib import Path

import hibari
import numpy as np
import pytest
import soundfile
import torch
from miniatures import Tensors, edit_tensors

from scoring.contract import FailureCode, ListedPrompts, ParlerModel, Prompt, TtsRequest
from scoring.errors import ScoringError
from scoring.tts.likelihood import (
    DESCRIPTION,
    Tokenised,
    bits_per_token,
    forced_columns,
    measure,
    read_recordings,
)
from scoring.tts.parler.engine import ParlerEngine
from scoring.tts.parler.load import Place, load_model
from scoring.tts.parler.memory import default_limit
from scoring.tts.pipeline import evaluate
from scripts.make_miniature import VOCABULARY, MiniatureOptions, make_miniature

SAID = "Did anybody see the cat?"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoint") / "model"
    make_miniature(directory, seed=1)
    return directory


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recordings")
    speech = hibari.Hibari(threads=1)(SAID, seed=0)
    soundfile.write(directory / "said.wav", speech, hibari.SAMPLE_RATE)
    rows = [
        {"file": "said.wav", "text": SAID},
        {"file": "gone.wav", "text": "Not human.", "kind": "tts"},
        {"file": "gone.wav", "text": None},
    ]
    (directory / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return directory


def bits(model: Path, recordings: Path) -> float:
    return measure(ParlerModel(model_dir=model), recordings, device="cpu").bits_per_token


def test_a_model_that_knows_nothing_needs_the_logarithm_of_its_vocabulary(
    tmp_path: Path, recordings: Path
) -> None:
    make_miniature(tmp_path / "flat", seed=1)

    def flatten(tensors: Tensors) -> None:
        for name, tensor in tensors.items():
            if ".lm_heads." in name:
                tensor[:] = 0

    edit_tensors(tmp_path / "flat", flatten)

    found = measure(ParlerModel(model_dir=tmp_path / "flat"), recordings, device="cpu")

    assert found.bits_per_token == pytest.approx(math.log2(VOCABULARY), abs=1e-6)
    assert found.recordings == 1
    assert found.tokens % 9 == 0


def test_what_a_model_says_itself_it_finds_likelier_than_what_people_say(
    model: Path, recordings: Path
) -> None:
    own = ParlerEngine.load(model, device="cpu").greedy([SAID], DESCRIPTION)[0].codes
    cpu = torch.device("cpu")
    loaded = load_model(model, place=Place(cpu, default_limit(cpu)), base_dir=None)

    assert bits_per_token(loaded, [Tokenised(SAID, own)]) < bits(model, recordings) / 2


@pytest.mark.parametrize("positions", ["sinusoidal", "rope"])
def test_the_same_model_and_recordings_give_the_same_bits(
    positions: str, tmp_path: Path, recordings: Path
) -> None:
    options = MiniatureOptions(positions="rope" if positions == "rope" else "sinusoidal")
    make_miniature(tmp_path / "model", seed=3, options=options)

    first, second = bits(tmp_path / "model", recordings), bits(tmp_path / "model", recordings)

    assert first == second
    assert 0.0 < first < 40.0


def test_the_forced_grid_is_delayed_by_one_column_a_codebook() -> None:
    codes = torch.tensor([[1, 2], [3, 4], [5, 6]])

    assert forced_columns(codes, start=9, end=8).tolist() == [
        [9, 1, 2, 8, 8],
        [9, 9, 3, 4, 8],
        [9, 9, 9, 5, 6],
    ]


def test_an_evaluation_reports_it_beside_the_base_model_and_scores_alike(
    model: Path, recordings: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    make_miniature(other, seed=2)
    prompts = ListedPrompts(prompts=(Prompt(index=0, text=SAID, description="A voice."),))
    plain = TtsRequest(
        synthesiser=ParlerModel(model_dir=other, base_dir=model), prompts=prompts, max_seconds=1.0
    )

    without = evaluate(plain, tmp_path / "a", progress=lambda _done, _all: None)
    asked = plain.model_copy(update={"recordings": recordings})
    result = evaluate(asked, tmp_path / "b", progress=lambda _done, _all: None)

    assert without.likelihood is None
    assert result.likelihood is not None
    assert result.likelihood.base_bits_per_token == pytest.approx(bits(model, recordings))
    assert result.likelihood.bits_per_token != result.likelihood.base_bits_per_token
    assert result.aggregate == without.aggregate
    assert result.protocol_digest == without.protocol_digest


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "manifest.jsonl"),
        ("{", "JSON"),
        ("", "no human recording"),
        ('{"file": "gone.wav", "text": "Hello."}', "gone.wav"),
    ],
)
def test_recordings_that_cannot_be_used_are_the_fault_of_the_request(
    content: str | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "manifest.jsonl").write_text(content)

    with pytest.raises(ScoringError) as refused:
        read_recordings(tmp_path)
    assert refused.value.code == FailureCode.BAD_REQUEST
    assert said in refused.value.message


def test_a_model_without_finite_probabilities_is_to_blame(
    model: Path, recordings: Path, tmp_path: Path
) -> None:
    make_miniature(tmp_path / "wild", seed=1)

    def overflow(tensors: Tensors) -> None:
        name = "decoder.lm_heads.0.weight"
        tensors[name] = np.full(tensors[name].shape, 3e38, np.float32)

    edit_tensors(tmp_path / "wild", overflow)

    with pytest.raises(ScoringError) as refused:
        bits(tmp_path / "wild", recordings)
    assert refused.value.code == FailureCode.NUMERIC_FAILURE
