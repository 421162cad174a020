"""What counts as speech."""

from __future__ import annotations

from collections.abc import Callable

import hibari
import nonspeech
import numpy as np
import pytest

from scoring.audio import Audio, UnscorableAudioError
from scoring.metrics.speech_gate import SpeechShare


@pytest.fixture(scope="module")
def speech() -> Audio:
    voice = hibari.Hibari(threads=1)
    line = "Did anybody see where the little black cat went this morning?"
    return Audio(voice(line, seed=0), hibari.SAMPLE_RATE)


def share(audio: Audio) -> float:
    return SpeechShare().measure(audio).value


@pytest.mark.parametrize("sound", nonspeech.ALL)
def test_what_nobody_says_is_not_speech(sound: Callable[[], Audio]) -> None:
    assert share(sound()) < 0.05


def test_speech_is_speech_also_in_noise(speech: Audio) -> None:
    noise = np.random.default_rng(0).standard_normal(len(speech.samples), dtype=np.float32)
    noisy = speech.samples + noise * np.std(speech.samples) * 10 ** (-5 / 20)
    assert share(speech) > 0.8
    assert share(Audio(noisy, speech.sample_rate)) > 0.7


def test_a_quarter_of_a_second_at_the_ends_is_free_and_more_is_not(speech: Audio) -> None:
    def padded(seconds: float) -> Audio:
        pause = np.zeros(int(seconds * speech.sample_rate), np.float32)
        return Audio(np.concatenate([pause, speech.samples, pause]), speech.sample_rate)

    spoken = share(speech) * speech.seconds
    assert share(padded(5.0)) == pytest.approx(spoken / (speech.seconds + 9.5), rel=0.15)


def test_the_same_audio_has_the_same_share(speech: Audio) -> None:
    before = speech.samples.copy()
    assert share(speech) == share(speech)
    assert np.array_equal(speech.samples, before)


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(UnscorableAudioError, match="silent"):
        share(Audio(np.zeros(16_000, np.float32), 16_000))
