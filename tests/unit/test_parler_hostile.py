"""Hostile checkpoints: each is refused or bounded, and the process speaks on."""

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniatures import DESCRIPTION, Tensors, edit_json, edit_tensors
from raw_safetensors import moved
from safetensors.numpy import load_file

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.parler import ParlerEngine, SpeakRequest, Spoken
from scoring.tts.parler.tokenizer import Tokenizer
from scripts.make_miniature import MiniatureOptions, make_miniature

FC1 = "decoder.model.decoder.layers.0.fc1.weight"
FC2 = "decoder.model.decoder.layers.0.fc2.weight"
HEAD = "decoder.lm_heads.0.weight"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("healthy")
    make_miniature(directory, seed=1)
    return directory


@pytest.fixture(scope="module")
def bystander(healthy: Path) -> ParlerEngine:
    """An engine that must still speak when another checkpoint has been refused."""
    return ParlerEngine.load(healthy, device="cpu")


@pytest.fixture
def model_dir(tmp_path: Path, healthy: Path) -> Path:
    """A healthy miniature to spoil."""
    return Path(shutil.copytree(healthy, tmp_path / "model"))


def _speak(directory: Path, *, max_seconds: float = 0.5, base_dir: Path | None = None) -> Spoken:
    engine = ParlerEngine.load(directory, device="cpu", base_dir=base_dir)
    [spoken] = engine.speak([SpeakRequest("Look down.", DESCRIPTION, 1, max_seconds)])
    return spoken


def _refusal(
    directory: Path, bystander: ParlerEngine, base_dir: Path | None = None
) -> ScoringError:
    """The error that loading ends with; afterwards the process still speaks."""
    with pytest.raises(ScoringError) as caught:
        ParlerEngine.load(directory, device="cpu", base_dir=base_dir)
    assert caught.value.remedy
    [spoken] = bystander.speak([SpeakRequest("No.", DESCRIPTION, 1, 0.1)])
    assert spoken.failure is None
    return caught.value


def test_missing_weights(model_dir: Path, bystander: ParlerEngine) -> None:
    (model_dir / "model.safetensors").unlink()
    assert _refusal(model_dir, bystander).code is FailureCode.WEIGHTS_MISSING


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "last.ckpt"])
def test_pickle_instead_of_safetensors(model_dir: Path, bystander: ParlerEngine, name: str) -> None:
    (model_dir / "model.safetensors").rename(model_dir / name)
    assert _refusal(model_dir, bystander).code is FailureCode.WEIGHTS_NOT_SAFETENSORS


@pytest.mark.parametrize("kept", [0, 4, 1_000, 3_000_000])
def test_truncated_weights(model_dir: Path, bystander: ParlerEngine, kept: int) -> None:
    os.truncate(model_dir / "model.safetensors", kept)
    assert _refusal(model_dir, bystander).code is FailureCode.WEIGHTS_UNREADABLE


def test_pickle_renamed_to_safetensors(model_dir: Path, bystander: ParlerEngine) -> None:
    torch.save({"x": torch.ones(3)}, model_dir / "model.safetensors")
    assert _refusal(model_dir, bystander).code is FailureCode.WEIGHTS_UNREADABLE


def test_header_that_claims_to_be_huge(model_dir: Path, bystander: ParlerEngine) -> None:
    (model_dir / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    assert _refusal(model_dir, bystander).code is FailureCode.WEIGHTS_UNREADABLE


@pytest.mark.parametrize("further", [1, 2])
def test_offsets_that_no_library_writes_change_nothing(model_dir: Path, further: int) -> None:
    usual = ParlerEngine.load(model_dir, device="cpu")
    path = model_dir / "model.safetensors"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(moved(content, further))
    odd = ParlerEngine.load(model_dir, device="cpu")
    assert odd.weights_digest == usual.weights_digest
    [one], [other] = (engine.greedy(["Look down."], DESCRIPTION) for engine in (usual, odd))
    assert one.codes.equal(other.codes)


def test_link_out_of_the_directory(model_dir: Path, healthy: Path, bystander: ParlerEngine) -> None:
    (model_dir / "model.safetensors").unlink()
    (model_dir / "model.safetensors").symlink_to(healthy / "model.safetensors")
    error = _refusal(model_dir, bystander)
    assert error.code is FailureCode.WEIGHTS_UNREADABLE
    assert "link" in error.message


def _without_fc1(tensors: Tensors) -> None:
    del tensors[FC1]


def _with_a_stranger(tensors: Tensors) -> None:
    tensors["decoder.model.decoder.layers.7.fc1.weight"] = tensors[FC1]


def _transposed(tensors: Tensors) -> None:
    tensors[FC1] = tensors[FC1].T


def _integers(tensors: Tensors) -> None:
    tensors[FC1] = tensors[FC1].astype(np.int32)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_without_fc1, FC1),
        (_with_a_stranger, "layers.7.fc1"),
        (_transposed, FC1),
        (_integers, FC1),
    ],
)
def test_tensor_that_the_config_does_not_imply(
    model_dir: Path, bystander: ParlerEngine, change: Callable[[Tensors], None], named: str
) -> None:
    edit_tensors(model_dir, change)
    error = _refusal(model_dir, bystander)
    assert error.code is FailureCode.TENSOR_MISMATCH
    assert named in error.message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name",
    [
        FC1,
        "text_encoder.shared.weight",
        "audio_encoder.encoder.conv1.weight",
        "embed_prompts.weight",
    ],
)
def test_weight_that_is_no_number(
    model_dir: Path, bystander: ParlerEngine, value: float, name: str
) -> None:
    def spoil(tensors: Tensors) -> None:
        tensors[name].flat[-1] = value

    edit_tensors(model_dir, spoil)
    error = _refusal(model_dir, bystander)
    assert error.code is FailureCode.TENSOR_NOT_FINITE
    assert name in error.message


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 10_000 + b"}", b" " * 2_000_000],
)
def test_config_that_is_no_config(
    model_dir: Path, bystander: ParlerEngine, file: str, content: bytes
) -> None:
    (model_dir / file).write_bytes(content)
    assert _refusal(model_dir, bystander).code is FailureCode.CONFIG_INVALID


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_config_that_is_missing(model_dir: Path, bystander: ParlerEngine, file: str) -> None:
    (model_dir / file).unlink()
    assert _refusal(model_dir, bystander).code is FailureCode.CONFIG_INVALID


def test_directory_that_does_not_exist_is_the_requests_fault(
    tmp_path: Path, bystander: ParlerEngine
) -> None:
    assert _refusal(tmp_path / "nowhere", bystander).code is FailureCode.BAD_REQUEST


def test_device_that_does_not_exist_is_the_evaluators_fault(healthy: Path) -> None:
    with pytest.raises(ScoringError) as caught:
        ParlerEngine.load(healthy, device="cuda:99")
    assert caught.value.code is FailureCode.DEVICE_UNAVAILABLE


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"nonsense", b"\xff\xfe", b'{"version":"1.0","model":{"type":"Unigram"}}'],
)
def test_tokenizer_that_is_none(model_dir: Path, bystander: ParlerEngine, content: bytes) -> None:
    (model_dir / "tokenizer.json").write_bytes(content)
    assert _refusal(model_dir, bystander).code is FailureCode.TOKENIZER_INVALID


def test_tokenizer_that_is_missing(model_dir: Path, bystander: ParlerEngine) -> None:
    (model_dir / "tokenizer.json").unlink()
    assert _refusal(model_dir, bystander).code is FailureCode.TOKENIZER_INVALID


def test_tokenizer_with_ids_beyond_the_embedding(model_dir: Path, bystander: ParlerEngine) -> None:
    def one_more(tokenizer: dict[str, Any]) -> None:
        tokenizer["model"]["vocab"].append(["zzz", -5.0])

    edit_json(model_dir / "tokenizer.json", one_more)
    assert _refusal(model_dir, bystander).code is FailureCode.TOKENIZER_INVALID


def test_generation_that_never_ends_is_cut_at_the_cap(model_dir: Path) -> None:
    def never_end(tensors: Tensors) -> None:
        tensors[HEAD][1_024] = 0

    edit_tensors(model_dir, never_end)
    spoken = _speak(model_dir, max_seconds=2.0)
    assert spoken.truncated
    assert spoken.audio is not None
    assert spoken.audio.shape[0] / spoken.sample_rate == pytest.approx(2.0, abs=0.02)


def test_end_at_once_is_a_failure_with_a_reason(model_dir: Path) -> None:
    edit_json(model_dir / "generation_config.json", lambda s: s.update(min_new_tokens=0))

    def end(tensors: Tensors) -> None:
        # Every column of every codebook holds one constant direction for this to find.
        for codebook in range(9):
            tensors[f"decoder.model.decoder.embed_tokens.{codebook}.weight"][:] = 1
            tensors[f"decoder.lm_heads.{codebook}.weight"][:] = 0
        tensors["decoder.model.decoder.layer_norm.bias"][:] = 1
        for codebook in range(9):
            tensors[f"decoder.lm_heads.{codebook}.weight"][1_024] = 1

    edit_tensors(model_dir, end)
    spoken = _speak(model_dir)
    assert spoken.audio is None
    assert spoken.failure is not None
    assert "ended at once" in spoken.failure


def _only_ids_beyond_the_codebook(tensors: Tensors) -> None:
    tensors["decoder.model.decoder.layer_norm.bias"][:] = 1
    for codebook in range(9):
        tensors[f"decoder.lm_heads.{codebook}.weight"][:] = 0
        tensors[f"decoder.lm_heads.{codebook}.weight"][1_030] = 100


def test_nothing_but_ids_beyond_the_codebook_is_a_failure(model_dir: Path) -> None:
    edit_tensors(model_dir, _only_ids_beyond_the_codebook)
    spoken = _speak(model_dir)
    assert spoken.audio is None
    assert spoken.failure is not None


def test_some_ids_beyond_the_codebook_cost_their_frames_only(tmp_path: Path) -> None:
    make_miniature(tmp_path, seed=1, options=MiniatureOptions(stray_ids=True))
    engine = ParlerEngine.load(tmp_path, device="cpu")
    [generated] = engine.greedy(["Look down."], DESCRIPTION)
    assert 0 < generated.codes.shape[1] < generated.columns - 9
    assert int(generated.codes.max()) < 1_024


def test_codec_refuses_ids_beyond_its_codebooks(healthy: Path) -> None:
    engine = ParlerEngine.load(healthy, device="cpu")
    codes = torch.zeros(9, 4, dtype=torch.long)
    codes[3, 2] = 1_024
    with pytest.raises(IndexError):
        engine.decode(codes)


def test_logits_that_are_not_finite_fail_their_request(model_dir: Path) -> None:
    def overflow(tensors: Tensors) -> None:
        tensors[FC2] = np.full(tensors[FC2].shape, 3e38, dtype=np.float32)

    edit_tensors(model_dir, overflow)
    spoken = _speak(model_dir)
    assert spoken.audio is None
    assert spoken.failure is not None
    assert spoken.failure.startswith("NUMERIC_FAILURE")


def test_logits_that_a_low_temperature_overflows_fail_their_request(model_dir: Path) -> None:
    edit_json(model_dir / "generation_config.json", lambda s: s.update(temperature=0.01))

    def almost_overflow(tensors: Tensors) -> None:
        for codebook in range(9):
            name = f"decoder.lm_heads.{codebook}.weight"
            tensors[name] = tensors[name].astype(np.float32) * 1e37

    edit_tensors(model_dir, almost_overflow)
    spoken = _speak(model_dir)
    assert spoken.failure is not None
    assert spoken.failure.startswith("NUMERIC_FAILURE")


def test_not_finite_request_leaves_its_neighbours_alone(model_dir: Path) -> None:
    poisoned = "z"

    def overflow_on_z(tensors: Tensors) -> None:
        token = _token(model_dir, poisoned)
        table = tensors["embed_prompts.weight"].astype(np.float32)
        table[token] = 3e38
        tensors["embed_prompts.weight"] = table

    edit_tensors(model_dir, overflow_on_z)
    engine = ParlerEngine.load(model_dir, device="cpu")
    texts = [poisoned if place % 3 == 1 else f"Look {place}." for place in range(20)]
    requests = [SpeakRequest(text, DESCRIPTION, 1, 0.5) for text in texts]
    results = {spoken.index: spoken for spoken in engine.speak(requests)}
    assert sorted(results) == list(range(20))
    for place, text in enumerate(texts):
        assert (results[place].audio is None) == (text == poisoned)


def _token(directory: Path, text: str) -> int:
    return Tokenizer(directory, 10_000).encode(text)[-2]


def test_sound_that_is_not_finite_is_a_failure(model_dir: Path) -> None:
    def overflow(tensors: Tensors) -> None:
        name = "audio_encoder.decoder.conv1.weight"
        tensors[name] = np.full(tensors[name].shape, 3e38, dtype=np.float32)

    edit_tensors(model_dir, overflow)
    spoken = _speak(model_dir)
    assert spoken.audio is None
    assert spoken.failure is not None
    assert "codec" in spoken.failure


def test_text_too_long_fails_alone(healthy: Path) -> None:
    engine = ParlerEngine.load(healthy, device="cpu")
    texts = ["Look down.", "z" * 1_500, "Look up."]
    requests = [SpeakRequest(text, DESCRIPTION, 1, 0.5) for text in texts]
    results = {spoken.index: spoken for spoken in engine.speak(requests)}
    assert [results[place].failure is None for place in range(3)] == [True, False, True]
    assert "tokens" in str(results[1].failure)


def test_text_that_leaves_no_position_for_audio_fails_alone(model_dir: Path) -> None:
    edit_json(model_dir / "config.json", lambda c: c["decoder"].update(max_position_embeddings=40))

    def shorten(tensors: Tensors) -> None:
        name = "decoder.model.decoder.embed_positions.weights"
        tensors[name] = tensors[name][:40]

    edit_tensors(model_dir, shorten)
    engine = ParlerEngine.load(model_dir, device="cpu")
    requests = [SpeakRequest(text, DESCRIPTION, 1, 9.0) for text in ("No.", "z" * 30, "z" * 60)]
    results = {spoken.index: spoken for spoken in engine.speak(requests)}
    assert results[0].truncated
    assert "positions" in str(results[1].failure)
    assert "positions" in str(results[2].failure)


def test_broken_base_model_is_the_evaluators_fault(
    model_dir: Path, bystander: ParlerEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("base")
    make_miniature(base, seed=2)
    (base / "tokenizer.json").unlink()
    assert _refusal(model_dir, bystander, base_dir=base).code is FailureCode.ASSET_MISSING


def test_untouched_copy_of_what_was_spoiled_is_healthy(model_dir: Path, healthy: Path) -> None:
    edit_tensors(model_dir, lambda _: None)
    assert set(load_file(model_dir / "model.safetensors")) == set(
        load_file(healthy / "model.safetensors")
    )
    assert _speak(model_dir).failure is None
