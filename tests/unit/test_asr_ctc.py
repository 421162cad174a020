"""A miniature wav2vec 2.0 with a CTC output: the real code path, untrained."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from scoring.asr.base import Recogniser
from scoring.asr.load import load_recogniser
from scoring.audio import Audio
from scoring.contract import CtcSpec, FailureCode
from scoring.errors import ScoringError
from tests.ctc_miniature import LETTERS, make_ctc


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ctc")
    make_ctc(directory)
    return directory


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    make_ctc(tmp_path)
    return tmp_path


def noise(seconds: float, rate: int = 16_000) -> Audio:
    samples = np.random.default_rng(0).standard_normal(int(seconds * rate)) * 0.1
    return Audio(samples.astype(np.float32), rate)


def load(directory: Path) -> Recogniser:
    return load_recogniser(CtcSpec(model=str(directory)), device="cpu")


def test_the_transcript_is_the_collapsed_path_of_likeliest_letters(pristine: Path) -> None:
    audio = noise(2.0)
    model = Wav2Vec2ForCTC.from_pretrained(pristine).eval()
    centred = (audio.samples - audio.samples.mean()) / np.sqrt(audio.samples.var() + 1e-7)
    with torch.inference_mode():
        path = model(torch.from_numpy(centred)[None]).logits[0].argmax(-1).tolist()
    letters = [LETTERS[index] for index, _ in groupby(path)]
    expected = "".join(x for x in letters if x not in {"<pad>", "<s>", "</s>"}).replace("|", " ")

    heard = load(pristine).transcribe(audio)

    assert len(set(heard)) > 3
    assert " ".join(heard.split()) == " ".join(expected.replace("<unk>", "").split())


def test_the_same_audio_gives_the_same_text_and_other_audio_another(pristine: Path) -> None:
    first, second = load(pristine), load(pristine)

    assert first.transcribe(noise(1.0)) == second.transcribe(noise(1.0))
    assert first.transcribe(noise(1.0)) != first.transcribe(noise(2.0))


def test_longer_neighbours_change_no_letter(pristine: Path) -> None:
    recogniser = load(pristine)
    clips = [noise(seconds) for seconds in (1.0, 3.0, 0.4)]

    assert recogniser.transcribe_all(clips) == [recogniser.transcribe(clip) for clip in clips]


@pytest.mark.parametrize(("seconds", "rate"), [(0.3, 8_000), (0.3, 44_100), (61.0, 16_000)])
def test_shortest_and_long_audio_at_any_rate_is_heard(
    seconds: float, rate: int, pristine: Path
) -> None:
    assert isinstance(load(pristine).transcribe(noise(seconds, rate)), str)


def test_the_digest_names_the_files_and_the_miniature_is_a_rehearsal(checkpoint: Path) -> None:
    before = load(checkpoint).info
    edit_weights(checkpoint, lambda tensors: tensors["lm_head.bias"].add_(1.0))
    after = load(checkpoint).info

    assert before.engine == "ctc"
    assert before.rehearsal
    assert before.digest != after.digest


def edit_weights(directory: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    path = directory / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def edit_config(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def lacks_weights(directory: Path) -> None:
    (directory / "model.safetensors").unlink()


def holds_a_pickle(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")


def is_cut_short(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def lacks_its_output(directory: Path) -> None:
    edit_weights(directory, lambda tensors: tensors.pop("lm_head.weight"))


def is_no_ctc_model(directory: Path) -> None:
    edit_config(directory, model_type="whisper")


def brings_code(directory: Path) -> None:
    edit_config(directory, model_type="mine", auto_map={"AutoModelForCTC": "mine.Model"})


def has_no_json(directory: Path) -> None:
    (directory / "config.json").write_text("{")


def has_another_vocabulary(directory: Path) -> None:
    (directory / "vocab.json").write_text(json.dumps({"<pad>": 0, "A": 1}))


def listens_at_8_khz(directory: Path) -> None:
    Wav2Vec2FeatureExtractor(sampling_rate=8_000).save_pretrained(directory)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lacks_weights, "model.safetensors missing"),
        (holds_a_pickle, "model.safetensors missing"),
        (is_cut_short, "does not load"),
        (lacks_its_output, "lm_head.weight"),
        (is_no_ctc_model, "whisper"),
        (brings_code, "mine"),
        (has_no_json, "config.json"),
        (has_another_vocabulary, "outputs"),
        (listens_at_8_khz, "8000 Hz"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_our_fault_and_named(
    spoil: Callable[[Path], None], words: str, checkpoint: Path
) -> None:
    spoil(checkpoint)

    with pytest.raises(ScoringError) as refused:
        load(checkpoint)
    assert refused.value.code == FailureCode.ASSET_MISSING
    assert words in refused.value.message


def test_a_directory_that_is_not_there_is_the_fault_of_the_request(tmp_path: Path) -> None:
    with pytest.raises(ScoringError) as refused:
        load(tmp_path / "nowhere")
    assert refused.value.code == FailureCode.BAD_REQUEST
