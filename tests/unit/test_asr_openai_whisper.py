"""OpenAI's package, on a miniature with Whisper's dimensions and random weights."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from scoring.asr.load import load_recogniser
from scoring.audio import Audio
from scoring.contract import AsrSpec, FailureCode
from scoring.errors import ScoringError

INSTALLED = importlib.util.find_spec("whisper") is not None
needs_package = pytest.mark.skipif(not INSTALLED, reason="the extra openai-whisper is missing")

ENGLISH_ONLY_TOKENS = 51_864


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    dimensions = ModelDimensions(
        n_mels=80,
        n_audio_ctx=1_500,
        n_audio_state=16,
        n_audio_head=2,
        n_audio_layer=1,
        n_vocab=ENGLISH_ONLY_TOKENS,
        n_text_ctx=32,
        n_text_state=16,
        n_text_head=2,
        n_text_layer=1,
    )
    directory = tmp_path_factory.mktemp("whisper")
    weights = Whisper(dimensions).state_dict()
    # Uninitialised in the model's constructor.
    weights["decoder.positional_embedding"] = torch.randn(32, 16)
    checkpoint = {"dims": dimensions.__dict__, "model_state_dict": weights}
    torch.save(checkpoint, directory / "mini.pt")
    return directory


def code_of(model: str) -> FailureCode:
    with pytest.raises(ScoringError) as caught:
        load_recogniser(AsrSpec(engine="openai-whisper", model=model), device="cpu")
    assert caught.value.remedy
    return caught.value.code


@needs_package
def test_a_directory_with_weights_loads_and_transcribes_the_same_twice(miniature: Path) -> None:
    recogniser = load_recogniser(
        AsrSpec(engine="openai-whisper", model=str(miniature)), device="cpu"
    )
    assert recogniser.info.engine == "openai-whisper"
    assert recogniser.info.rehearsal
    noise = 0.1 * np.random.default_rng(0).standard_normal(24_000, dtype=np.float32)
    audio = Audio(noise, 24_000)
    heard = recogniser.transcribe(audio)
    assert recogniser.transcribe(audio) == heard
    assert recogniser.transcribe_all([audio, audio]) == [heard, heard]


@needs_package
def test_an_unknown_name_is_the_fault_of_the_request() -> None:
    assert code_of("packaged") is FailureCode.BAD_REQUEST


@needs_package
def test_a_directory_without_weights_is_a_missing_asset(tmp_path: Path) -> None:
    assert code_of(str(tmp_path)) is FailureCode.ASSET_MISSING


class Harmful:
    """Makes a directory when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


@needs_package
def test_code_in_the_weights_is_refused_and_not_run(tmp_path: Path) -> None:
    import torch

    target = tmp_path / "harm"
    torch.save({"dims": Harmful(target)}, tmp_path / "mini.pt")
    assert code_of(str(tmp_path)) is FailureCode.ASSET_MISSING
    assert not target.exists()


@needs_package
def test_broken_weights_are_a_missing_asset(tmp_path: Path) -> None:
    (tmp_path / "mini.pt").write_bytes(b"no weights")
    assert code_of(str(tmp_path)) is FailureCode.ASSET_MISSING


@pytest.mark.skipif(INSTALLED, reason="the extra openai-whisper is installed")
def test_without_the_package_the_error_names_the_extra() -> None:
    with pytest.raises(ScoringError, match="openai-whisper is not installed") as caught:
        load_recogniser(AsrSpec(engine="openai-whisper", model="tiny.en"), device="cpu")
    assert caught.value.code is FailureCode.ASSET_MISSING
    assert "extra openai-whisper" in caught.value.remedy
