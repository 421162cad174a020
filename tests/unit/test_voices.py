"""The reference voices: what they say and how they sound."""

from __future__ import annotations

import numpy as np
import pytest

from scoring.asr.faster_whisper import FasterWhisper
from scoring.audio import Audio, check
from scoring.contract import Prompt
from scoring.metrics.human_likeness import HumanLikeness
from scoring.metrics.wer import corpus_wer, word_errors
from scoring.tts.voices import load_voice

NAMES = ("hibari", "hibari-noise", "hibari-wrong-text")
PROMPTS = [
    Prompt(index=7, text="Did anybody see where the cat went?", description="A woman, curious."),
    Prompt(index=2, text="Seven of you against one old man is hardly fair.", description="A man."),
]


@pytest.fixture(scope="module")
def spoken() -> dict[str, list[Audio]]:
    return {name: audios(name, PROMPTS) for name in NAMES}


def audios(name: str, prompts: list[Prompt]) -> list[Audio]:
    utterances = list(load_voice(name).speak(prompts))
    assert [u.index for u in utterances] == list(range(len(prompts)))
    assert all(u.failure is None and not u.truncated for u in utterances)
    return [u.audio for u in utterances if u.audio is not None]


@pytest.fixture(scope="module")
def wer(spoken: dict[str, list[Audio]]) -> dict[str, float]:
    recogniser = FasterWhisper.load("packaged", device="cpu")
    texts = [prompt.text for prompt in PROMPTS]
    return {
        name: corpus_wer(map(word_errors, texts, map(recogniser.transcribe, heard)))
        for name, heard in spoken.items()
    }


def test_every_voice_makes_audio_that_can_be_scored(spoken: dict[str, list[Audio]]) -> None:
    for heard in spoken.values():
        assert len(heard) == len(PROMPTS)
        for audio in heard:
            check(audio)


def test_the_clean_voice_says_the_text_and_the_other_none_of_it(wer: dict[str, float]) -> None:
    assert wer["hibari"] <= 0.1
    assert wer["hibari-wrong-text"] == pytest.approx(1.0, abs=0.2)


def test_noise_costs_human_likeness(spoken: dict[str, list[Audio]]) -> None:
    def mean(name: str) -> float:
        likeness = HumanLikeness()
        return float(np.mean([likeness.measure(audio).value for audio in spoken[name]]))

    assert mean("hibari-noise") < mean("hibari") - 0.2


@pytest.mark.parametrize("name", NAMES)
def test_the_same_prompts_sound_the_same_in_any_company(
    name: str, spoken: dict[str, list[Audio]]
) -> None:
    alone = audios(name, PROMPTS[1:])[0]
    assert alone.samples.tobytes() == spoken[name][1].samples.tobytes()


def test_a_text_without_words_is_a_failure_with_its_reason() -> None:
    prompt = Prompt(index=0, text="你好", description="Anyone.")
    (utterance,) = load_voice("hibari").speak([prompt])
    assert utterance.audio is None
    assert utterance.failure == "no word to pronounce"


def test_a_voice_says_what_it_is() -> None:
    for name in NAMES:
        info = load_voice(name).info
        assert (info.kind, info.name) == ("voice", name)


def test_a_voice_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match="siren"):
        load_voice("siren")
