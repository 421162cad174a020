"""Streaming: early pieces that join to the sound of the whole; and the command that uses it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from miniatures import DESCRIPTION, edit_tensors

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.parler import ParlerEngine, SpeakRequest
from scoring.tts.parler.codec import Codec, context_frames
from scoring.tts.parler.config import CodecConfig
from scoring.tts.parler.say_cli import main
from scripts.make_miniature import make_miniature

REQUEST = SpeakRequest("She said hello and walked home.", DESCRIPTION, 3, 2.0)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    make_miniature(directory, seed=1)
    return directory


@pytest.fixture(scope="module")
def engine(model_dir: Path) -> ParlerEngine:
    return ParlerEngine.load(model_dir, device="cpu")


@pytest.mark.parametrize("max_seconds", [0.01, 0.3, 2.0])
def test_pieces_join_to_what_speak_yields(engine: ParlerEngine, max_seconds: float) -> None:
    request = SpeakRequest(REQUEST.text, REQUEST.description, REQUEST.seed, max_seconds)
    pieces = list(engine.stream(request))
    [whole] = engine.speak([request])
    assert whole.audio is not None
    joined = np.concatenate(pieces)
    assert joined.shape == whole.audio.shape
    np.testing.assert_allclose(joined, whole.audio, atol=1e-5)


def test_first_piece_is_short(engine: ParlerEngine) -> None:
    pieces = list(engine.stream(REQUEST))
    assert len(pieces) > 1
    assert pieces[0].size == 8 * 512


def test_request_whose_logits_are_not_finite_raises(tmp_path: Path) -> None:
    make_miniature(tmp_path, seed=1)
    name = "decoder.model.decoder.layers.0.fc2.weight"
    edit_tensors(tmp_path, lambda t: t.update({name: np.full_like(t[name], 3e4)}))
    edit_tensors(tmp_path, lambda t: t.update({name: t[name].astype(np.float32) * 1e34}))
    with pytest.raises(ScoringError) as caught:
        list(ParlerEngine.load(tmp_path, device="cpu").stream(REQUEST))
    assert caught.value.code is FailureCode.NUMERIC_FAILURE


@pytest.mark.parametrize("ratios", [(2, 4, 8, 8), (2, 4, 5, 8), (3, 5)])
def test_window_sounds_as_in_the_whole_and_no_smaller_context_would_do(
    ratios: tuple[int, ...],
) -> None:
    torch.manual_seed(0)
    config = CodecConfig("transformers", 2, 16, ratios, 2, 8, 4, 16_000)
    codec = Codec(config)
    # In float64, what rounding does is far below what a frame too few would do.
    codec._model.to_empty(device="cpu").double()
    for parameter in codec._model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    codes = torch.randint(0, 8, (2, 90))
    whole = codec.window(codes, 0, 90)
    start, stop, hop = 40, 50, config.hop_length
    window = whole[start * hop : stop * hop]
    scale = float(whole.abs().max())
    torch.testing.assert_close(codec.window(codes, start, stop), window, atol=1e-9 * scale, rtol=0)
    torch.testing.assert_close(torch.cat([codec.window(codes, 0, 40), codec.window(codes, 40, 90)]),
                               whole, atol=1e-9 * scale, rtol=0)  # fmt: skip
    # A change further off than the context is not heard, one nearby is.
    far = codes.clone()
    far[:, : start - context_frames(config)] = 0
    heard = codec.window(far, 0, 90)[start * hop : stop * hop]
    torch.testing.assert_close(heard, window, atol=1e-9 * scale, rtol=0)
    near = codes.clone()
    near[:, start - 1] = (near[:, start - 1] + 1) % 8
    assert not torch.allclose(codec.window(near, 0, 90)[start * hop : stop * hop], window)


def test_say_writes_what_the_engine_speaks(
    engine: ParlerEngine, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "said.wav"
    arguments = [REQUEST.text, "--model", str(model_dir), "--description", DESCRIPTION]
    assert main(["say", *arguments, "-o", str(out), "--seed", "3", "--max-seconds", "2"]) == 0
    assert "real-time factor" in capsys.readouterr().out
    audio, rate = soundfile.read(out, dtype="float32")
    [whole] = engine.speak([REQUEST])
    assert rate == engine.sample_rate
    assert whole.audio is not None
    np.testing.assert_allclose(audio, whole.audio, atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "code", "told"),
    [
        ({"--model": "nowhere"}, 2, "not a directory"),
        ({"--device": "cuda:99"}, 3, "no device"),
        ({"-o": "nowhere/said.wav"}, 3, "cannot be written"),
        ({"--description": "z" * 1_500}, 2, "tokens"),
    ],
)
def test_say_tells_whose_fault_a_failure_is(
    model_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"--model": str(model_dir), "--description": "Warm.", "-o": "said.wav", **changed}
    arguments = [word for option in options.items() for word in option]
    assert main(["say", "No.", "--max-seconds", "0.1", *arguments]) == code
    assert told in capsys.readouterr().err
