"""Memory is planned before it is taken, and too little is told from too much being asked."""

from pathlib import Path

import pytest
import torch
from miniatures import DESCRIPTION, edit_json

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.parler import ParlerEngine, SpeakRequest
from scoring.tts.parler.config import load_config
from scoring.tts.parler.generate import Room
from scoring.tts.parler.memory import (
    activation_bytes,
    cache_bytes,
    check_free,
    greatest_room,
    most_slots,
    weights_bytes,
)
from scoring.tts.parler.settings import load_settings
from scoring.tts.parler.threads import SMALL_MODEL, pin_threads
from scripts.make_miniature import make_miniature

MIB = 1 << 20


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model")
    make_miniature(directory, seed=1)
    return directory


def _need(model_dir: Path, slots: int) -> int:
    config = load_config(model_dir)
    room = greatest_room(config, load_settings(model_dir, config.decoder), slots, 4)
    return weights_bytes(config) + cache_bytes(config, room) + activation_bytes(config, room)


def _slots(model_dir: Path, limit: int) -> int:
    config = load_config(model_dir)
    settings = load_settings(model_dir, config.decoder)
    return most_slots(config, settings, limit=limit, candidates=(4, 8, 16), number_bytes=4)


def test_caches_are_counted_as_they_are_shaped(model_dir: Path) -> None:
    # 2 layers of 4 heads of width 16, keys and values; a row of 100 is for first passes.
    config, numbers = load_config(model_dir), 2 * 2 * 4 * 16 * (3 * 100 + 100 + 20)
    assert cache_bytes(config, Room(3, 100, 1, 20)) == 4 * numbers
    assert cache_bytes(config, Room(3, 100, 1, 20, number_bytes=2)) == 2 * numbers


def test_as_many_slots_as_the_limit_has_room_for(model_dir: Path) -> None:
    assert _slots(model_dir, _need(model_dir, 16)) == 16
    assert _slots(model_dir, _need(model_dir, 16) - 1) == 8
    assert _slots(model_dir, _need(model_dir, 4)) == 4


def test_too_little_memory_is_our_fault_and_says_how_much(model_dir: Path) -> None:
    with pytest.raises(ScoringError, match=r"4 requests .* 0\.0\d GiB .* 0\.00 GiB") as caught:
        ParlerEngine.load(model_dir, device="cpu", memory_limit=MIB)
    assert caught.value.code is FailureCode.OUT_OF_MEMORY


def test_limit_changes_how_many_speak_at_once_and_not_the_sound(model_dir: Path) -> None:
    roomy = ParlerEngine.load(model_dir, device="cpu")
    tight = ParlerEngine.load(model_dir, device="cpu", memory_limit=_need(model_dir, 4))
    requests = [SpeakRequest(f"Look {n}.", DESCRIPTION, n, 0.3) for n in range(9)]
    one, other = (sorted(e.speak(requests), key=lambda s: s.index) for e in (roomy, tight))
    for mine, theirs in zip(one, other, strict=True):
        assert mine.audio is not None
        assert theirs.audio is not None
        assert (mine.audio == theirs.audio).all()


def test_request_that_would_need_an_absurd_cache_is_the_submissions_fault(tmp_path: Path) -> None:
    make_miniature(tmp_path, seed=1)
    edit_json(
        tmp_path / "config.json",
        lambda c: c["decoder"].update(num_hidden_layers=64, hidden_size=1_024),
    )
    edit_json(tmp_path / "generation_config.json", lambda s: s.update(max_length=65_000))
    with pytest.raises(ScoringError, match="GiB of attention cache") as caught:
        ParlerEngine.load(tmp_path, device="cpu")
    assert caught.value.code is FailureCode.CONFIG_TOO_LARGE


def test_more_than_is_free_is_refused_before_it_is_allocated() -> None:
    with pytest.raises(ScoringError, match=r"the weights need 1024\.00 GiB") as caught:
        check_free(1 << 40, "the weights", torch.device("cpu"))
    assert caught.value.code is FailureCode.OUT_OF_MEMORY


def test_small_models_get_one_thread_and_large_ones_what_the_operator_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    pin_threads(SMALL_MODEL)
    assert torch.get_num_threads() == 2
    pin_threads(SMALL_MODEL - 1)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
