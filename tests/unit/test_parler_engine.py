"""The engine's seam: determinism, caps, seeds, and whose assets are used."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from miniatures import DESCRIPTION, edit_json, edit_tensors
from safetensors.numpy import load_file, save_file

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.ahead import THREAD_NAME
from scoring.tts.parler import ParlerEngine, SpeakRequest, Spoken
from scoring.tts.parler import engine as engine_module
from scoring.tts.parler.load import Place
from scoring.weights_digest import weights_digest
from scripts.make_miniature import MiniatureOptions, make_miniature

TEXTS = ("Look down.", "No.", "She said hello and walked home.", "What time is it?", "Go on.")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("model")
    make_miniature(directory, seed=1)
    return directory


@pytest.fixture(scope="module")
def engine(model_dir: Path) -> ParlerEngine:
    return ParlerEngine.load(model_dir, device="cpu")


def _speak(engine: ParlerEngine, requests: list[SpeakRequest]) -> list[Spoken]:
    return sorted(engine.speak(requests), key=lambda spoken: spoken.index)


def _requests(texts: tuple[str, ...] = TEXTS, max_seconds: float = 1.0) -> list[SpeakRequest]:
    return [SpeakRequest(text, DESCRIPTION, seed, max_seconds) for seed, text in enumerate(texts)]


def test_every_request_gets_one_sound_in_range(engine: ParlerEngine) -> None:
    for place, spoken in enumerate(_speak(engine, _requests())):
        assert spoken.index == place
        assert spoken.failure is None
        assert spoken.audio is not None
        assert spoken.audio.dtype == np.float32
        assert spoken.audio.shape == (spoken.frames * 512,)
        assert spoken.sample_rate == engine.sample_rate == 44_100
        assert 0.01 < np.abs(spoken.audio).max() <= 1.0


def test_no_requests_give_nothing(engine: ParlerEngine) -> None:
    assert list(engine.speak([])) == []


def test_same_request_sounds_the_same_whatever_its_neighbours(engine: ParlerEngine) -> None:
    # More requests than slots, of different lengths, so that slots are refilled.
    many = _requests(TEXTS * 3)
    together = _speak(engine, many)
    for place in (0, 7, 14):
        [alone] = engine.speak([many[place]])
        assert alone.audio is not None
        np.testing.assert_array_equal(alone.audio, together[place].audio)


def test_memory_that_was_used_before_changes_nothing(engine: ParlerEngine) -> None:
    """Nor does it for two that speak at once, of which one has it."""
    long, short = _requests(max_seconds=1.0)[2], _requests(max_seconds=0.4)[0]
    [first] = engine.speak([long])
    streams = [engine.stream(long), engine.stream(long)]
    pieces = [[next(stream)] for stream in streams]
    [between] = engine.speak([short])
    for heard, stream in zip(pieces, streams, strict=True):
        heard.extend(stream)
    [again] = engine.speak([long])
    assert first.audio is not None
    assert again.audio is not None
    np.testing.assert_array_equal(again.audio, first.audio)
    for heard in pieces:
        np.testing.assert_allclose(np.concatenate(heard), first.audio, atol=1e-4)
    [alone] = ParlerEngine(engine._model, Place.on("cpu")).speak([short])
    assert between.audio is not None
    assert alone.audio is not None
    np.testing.assert_array_equal(between.audio, alone.audio)


def test_decoding_ahead_of_the_codec_loses_nothing_and_leaves_no_thread(
    engine: ParlerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU does, on a CPU."""
    monkeypatch.setitem(engine_module.DECODED_AHEAD, "cpu", 3)
    spoken = _speak(engine, _requests(TEXTS * 3))
    assert [one.index for one in spoken] == list(range(15))
    assert all(one.audio is not None for one in spoken)
    left_early = engine.speak(_requests(TEXTS * 3))
    next(left_early)
    left_early.close()
    assert not [t for t in threading.enumerate() if t.name.startswith(THREAD_NAME)]


def test_same_request_sounds_the_same_whatever_its_neighbours_descriptions(
    engine: ParlerEngine,
) -> None:
    """One description is heard by all slots at once, several are gathered slot by slot."""
    descriptions = (DESCRIPTION, "A man.", "A low male voice, far away, " + "so slow " * 20)
    many = [
        SpeakRequest(text, descriptions[place % 3], place, 0.5)
        for place, text in enumerate(TEXTS * 2)
    ]
    together = _speak(engine, many)
    for place in (0, 1, 5):
        [alone] = engine.speak([many[place]])
        assert alone.audio is not None
        np.testing.assert_array_equal(alone.audio, together[place].audio)


def test_same_request_sounds_the_same_after_loading_again(
    engine: ParlerEngine, model_dir: Path
) -> None:
    again = ParlerEngine.load(model_dir, device="cpu")
    for one, other in zip(_speak(engine, _requests()), _speak(again, _requests()), strict=True):
        np.testing.assert_array_equal(one.audio, other.audio)


@pytest.mark.parametrize("changed", ["seed", "text", "description"])
def test_another_request_sounds_different(engine: ParlerEngine, changed: str) -> None:
    request = SpeakRequest("Look down.", DESCRIPTION, 0, 1.0)
    other = {
        "seed": SpeakRequest("Look down.", DESCRIPTION, 2**63 - 1, 1.0),
        "text": SpeakRequest("Look up.", DESCRIPTION, 0, 1.0),
        "description": SpeakRequest("Look down.", "A man.", 0, 1.0),
    }[changed]
    one, two = _speak(engine, [request, other])
    assert not np.array_equal(one.audio, two.audio)


def test_greedy_settings_do_not_listen_to_the_seed(tmp_path: Path) -> None:
    make_miniature(tmp_path, seed=1)
    edit_json(tmp_path / "generation_config.json", lambda s: s.update(do_sample=False))
    engine = ParlerEngine.load(tmp_path, device="cpu")
    requests = [SpeakRequest("Look down.", DESCRIPTION, seed, 1.0) for seed in (1, 2)]
    one, two = _speak(engine, requests)
    np.testing.assert_array_equal(one.audio, two.audio)


@pytest.mark.parametrize("seconds", [0.001, 0.2, 0.45])
def test_cap_in_seconds_cuts_and_says_so(engine: ParlerEngine, seconds: float) -> None:
    # Half a second is the least that the miniature says of its own accord.
    [spoken] = engine.speak([SpeakRequest("Look down.", DESCRIPTION, 0, seconds)])
    assert spoken.truncated
    shortest = 8 / 86
    assert spoken.frames / 86.13 == pytest.approx(max(seconds, shortest), abs=0.02)


def test_own_assets_are_used_and_named_without_a_base(engine: ParlerEngine) -> None:
    assert engine.own_assets == ("tokenizer", "codec", "generation settings")
    assert engine.ignored == ()


def test_base_model_replaces_tokenizer_codec_and_settings(
    engine: ParlerEngine, model_dir: Path, tmp_path: Path
) -> None:
    """A submission whose own assets are useless speaks exactly as with the base model's."""
    make_miniature(tmp_path, seed=1)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "generation_config.json").write_text("{}")

    def deafen(tensors: dict[str, np.ndarray]) -> None:
        for name in list(tensors):
            if name.startswith("audio_encoder."):
                tensors[name] = np.full((3,), np.nan, dtype=np.float32)

    edit_tensors(tmp_path, deafen)
    based = ParlerEngine.load(tmp_path, device="cpu", base_dir=model_dir)
    assert based.own_assets == ()
    assert {"tokenizer.json", "generation_config.json"} <= set(based.ignored)
    assert any(ignored.startswith("audio_encoder.") for ignored in based.ignored)
    assert based.weights_digest == weights_digest(tmp_path) != engine.weights_digest
    for one, other in zip(_speak(based, _requests()), _speak(engine, _requests()), strict=True):
        np.testing.assert_array_equal(one.audio, other.audio)


def test_submission_that_the_base_model_does_not_suit_is_refused(
    model_dir: Path, tmp_path: Path
) -> None:
    make_miniature(tmp_path, seed=1, options=MiniatureOptions(codebooks=4))
    with pytest.raises(ScoringError, match="codebooks") as caught:
        ParlerEngine.load(tmp_path, device="cpu", base_dir=model_dir)
    assert caught.value.code is FailureCode.CONFIG_INVALID


def test_another_number_of_decoder_layers_than_the_base_models_is_refused(
    model_dir: Path, tmp_path: Path
) -> None:
    make_miniature(tmp_path, seed=1)
    edit_json(tmp_path / "config.json", lambda c: c["decoder"].update(num_hidden_layers=9))
    with pytest.raises(ScoringError, match="stack of decoder layers has size") as caught:
        ParlerEngine.load(tmp_path, device="cpu", base_dir=model_dir)
    assert caught.value.code is FailureCode.CONFIG_INVALID


def test_shards_load_as_one_file_does(engine: ParlerEngine, tmp_path: Path) -> None:
    make_miniature(tmp_path, seed=1)
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    names = sorted(tensors)
    for part, share in enumerate((names[::3], names[1::3], names[2::3]), start=1):
        save_file(
            {name: tensors[name] for name in share},
            tmp_path / f"model-{part:05}-of-00003.safetensors",
        )
    sharded = ParlerEngine.load(tmp_path, device="cpu")
    assert sharded.weights_digest == engine.weights_digest == weights_digest(tmp_path)
    [one] = sharded.speak(_requests(TEXTS[:1]))
    [other] = engine.speak(_requests(TEXTS[:1]))
    np.testing.assert_array_equal(one.audio, other.audio)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_dtypes_change_the_digest_and_not_the_sound(
    engine: ParlerEngine, tmp_path: Path, dtype: type
) -> None:
    make_miniature(tmp_path, seed=1)
    edit_tensors(tmp_path, lambda t: t.update({k: v.astype(dtype) for k, v in t.items()}))
    converted = ParlerEngine.load(tmp_path, device="cpu")
    assert (converted.weights_digest == engine.weights_digest) == (dtype is np.float16)
    [one] = converted.speak(_requests(TEXTS[:1]))
    [other] = engine.speak(_requests(TEXTS[:1]))
    np.testing.assert_array_equal(one.audio, other.audio)


def test_one_changed_weight_tensor_changes_the_sound(engine: ParlerEngine, tmp_path: Path) -> None:
    make_miniature(tmp_path, seed=1)
    name = "decoder.model.decoder.layers.1.fc2.weight"
    edit_tensors(tmp_path, lambda t: t.update({name: -t[name]}))
    changed = ParlerEngine.load(tmp_path, device="cpu")
    assert changed.weights_digest != engine.weights_digest
    [one] = changed.speak(_requests(TEXTS[:1]))
    [other] = engine.speak(_requests(TEXTS[:1]))
    assert not np.array_equal(one.audio, other.audio)


def test_table_that_t5_shares_may_lie_under_either_name_or_both(
    engine: ParlerEngine, tmp_path: Path
) -> None:
    shared, alias = "text_encoder.shared.weight", "text_encoder.encoder.embed_tokens.weight"
    make_miniature(tmp_path, seed=1)
    edit_tensors(tmp_path, lambda t: t.update({alias: t[shared]}))
    both = ParlerEngine.load(tmp_path, device="cpu")
    edit_tensors(tmp_path, lambda t: t.pop(shared))
    alone = ParlerEngine.load(tmp_path, device="cpu")
    expected = _speak(engine, _requests())
    for other in (both, alone):
        for one, two in zip(_speak(other, _requests()), expected, strict=True):
            np.testing.assert_array_equal(one.audio, two.audio)
    edit_tensors(tmp_path, lambda t: t.update({shared: 2 * t[alias]}))
    with pytest.raises(ScoringError) as caught:
        ParlerEngine.load(tmp_path, device="cpu")
    assert caught.value.code is FailureCode.TENSOR_MISMATCH
