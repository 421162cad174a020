"""The prompt stream is varied, speakable, and describes what it asks for."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from scoring.contract import Prompt
from scoring.tts.prompt_stream import bank, lines
from scoring.tts.prompt_stream.draws import Draws
from scoring.tts.prompts import delivery, stream

DRAWS = 10_000
EMOTION_STEMS = {
    "angry": ("angr", "anger"),
    "excited": ("excit",),
    "fearful": ("fear",),
    "happy": ("happ",),
    "hesitant": ("hesit",),
    "neutral": ("neutral",),
    "sad": ("sad",),
    "sarcastic": ("sarcas",),
    "surprised": ("surpris",),
    "tender": ("tender",),
}


@pytest.fixture(scope="module")
def many() -> tuple[Prompt, ...]:
    return stream("variety", DRAWS)


# --- Draws -----------------------------------------------------------------------------------


def test_a_choice_follows_the_documented_derivation() -> None:
    name = '["tts-prompts-1","\\u00e9\\ud83d\\ude00",7,"text",0]'
    block = hashlib.sha256(name.encode("ascii")).digest()
    words = [int.from_bytes(block[start : start + 8], "big") for start in (0, 8, 16, 24)]
    draws = Draws("é😀", 7, "text")
    assert [draws.choose(range(10)) for _ in words] == [word % 10 for word in words]


def test_a_word_that_would_favour_some_options_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = Draws("seed", 0, "text")
    monkeypatch.setattr(draws, "_words", iter([2**64 - 1, 4]))
    assert draws.choose("abc") == "b"


# --- Variety ---------------------------------------------------------------------------------


def test_ten_thousand_draws_hardly_repeat(many: tuple[Prompt, ...]) -> None:
    assert DRAWS - len({item.text for item in many}) < 0.005 * DRAWS
    assert DRAWS - len({item.description for item in many}) < 0.005 * DRAWS


def test_lengths_cover_three_to_forty_words(many: tuple[Prompt, ...]) -> None:
    lengths = Counter(len(item.text.split()) for item in many)
    assert set(lengths) == set(range(3, 41))
    assert all(0.01 * DRAWS <= times <= 0.05 * DRAWS for times in lengths.values())


def test_speakers_and_emotions_are_drawn_evenly(many: tuple[Prompt, ...]) -> None:
    speakers = Counter(item.speaker for item in many)
    emotions = Counter(item.emotion for item in many)
    assert len(speakers) >= 20
    assert len(emotions) >= 8
    for counts in (speakers, emotions):
        even = DRAWS / len(counts)
        assert all(0.75 * even < times < 1.25 * even for times in counts.values())


def test_no_phrase_dominates(many: tuple[Prompt, ...]) -> None:
    phrases: Counter[str] = Counter()
    for item in many:
        words = item.text.lower().split()
        phrases.update({" ".join(words[at : at + 5]) for at in range(len(words) - 4)})
    assert phrases.most_common(1)[0][1] < 0.01 * DRAWS
    assert len(phrases) > 5 * DRAWS


def test_questions_names_numbers_and_hesitations_occur(many: tuple[Prompt, ...]) -> None:
    shared = bank.shared_lines().slots

    def share(pattern: str) -> float:
        return sum(re.search(pattern, item.text) is not None for item in many) / DRAWS

    assert share(r"\?") > 0.1
    assert share(r"\b(um|uh|Uh)\b") > 0.05
    assert share("|".join(shared["you"] + shared["friend"])) > 0.3
    assert share(r"\b(" + "|".join(shared["count"] + shared["many"]) + r")\b") > 0.1


def test_every_scene_reaches_every_length_with_every_emotion() -> None:
    tries = 400
    for scene in bank.scenes():
        for emotion in bank.emotions():
            for band in lines.BANDS:
                draws = Draws("reach", 0, f"{emotion} {band.fewest}")
                texts = (lines.attempt(band, scene, emotion, draws) for _ in range(tries))
                assert any(text is not None for text in texts), (emotion, band)


# --- Text that can be spoken, heard and written down -----------------------------------------


def test_text_avoids_what_recognisers_spell_or_hear_in_two_ways(many: tuple[Prompt, ...]) -> None:
    traps = re.compile(
        r"\b(ok|okay|alright|all right|o'clock|grey|mister|missus|a hundred|"
        r"a thousand|and a half|I, um)\b|^Um|^Wait",
    )
    for item in many:
        assert re.fullmatch(r"[A-Za-z' ,.?!-]+", item.text), item.text
        assert not traps.search(item.text), item.text


def test_numbers_normalise_alike_in_words_and_in_digits(many: tuple[Prompt, ...]) -> None:
    normalise = EnglishTextNormalizer()
    shared = bank.shared_lines().slots
    words = sorted(shared["year"] + shared["many"] + shared["count"], key=len, reverse=True)
    number = re.compile(r"\b(" + "|".join(words) + r")\b", re.IGNORECASE)
    with_numbers = [item.text for item in many if number.search(item.text)][:1_500]
    for text in with_numbers:
        digits = number.sub(lambda match: normalise(match.group()), text)
        assert re.search(r"\d", digits)
        assert normalise(digits) == normalise(text), text


def test_no_name_or_number_is_mentioned_twice_in_one_line(many: tuple[Prompt, ...]) -> None:
    names = set(bank.shared_lines().slots["you"])
    for item in many:
        mentioned = [word for word in re.findall(r"[A-Za-z]+", item.text) if word in names]
        assert len(mentioned) <= 1, item.text


# --- The text bank ---------------------------------------------------------------------------


def test_every_scene_and_feeling_knows_every_emotion() -> None:
    emotions = set(bank.emotions())
    assert emotions == set(EMOTION_STEMS) == set(bank.descriptions().feelings)
    assert all(set(scene.lines) == emotions for scene in bank.scenes())


def test_every_slot_of_a_scene_has_values_and_occurs_once_in_a_sentence() -> None:
    shared = bank.shared_lines()
    for scene in bank.scenes():
        assert not set(scene.slots) & set(shared.slots)
        own = [*scene.details, *scene.asks, *scene.shorts]
        own += [sentence for group in scene.lines.values() for sentence in group]
        for sentence in own:
            slots = bank.slots_of(sentence)
            assert len(slots) == len(set(slots)), sentence
            assert set(slots) <= set(scene.slots) | set(shared.slots), sentence


def test_all_levels_of_an_axis_have_equally_many_phrases() -> None:
    for axis in bank.descriptions().axes.values():
        levels = (axis.low, axis.neutral, axis.high)
        assert len({len(level.adjective) for level in levels}) == 1
        assert len({len(level.adverbial) for level in levels}) == 1


# --- Delivery and its description ------------------------------------------------------------


def test_a_description_states_every_level_of_its_delivery(many: tuple[Prompt, ...]) -> None:
    words = bank.descriptions()
    genders = {speaker.name: words.pronouns[speaker.gender] for speaker in words.speakers}
    for item in many[:2_000]:
        asked = delivery("variety", item.index)
        for axis in bank.AXES:
            phrases = words.axes[axis]
            level = (phrases.neutral, phrases.high, phrases.low)[getattr(asked, axis)]
            spoken = [
                bank.fill(phrase, genders[item.speaker])
                for phrase in level.adjective + level.adverbial
            ]
            assert any(phrase in item.description for phrase in spoken), (axis, item)
        assert item.speaker in item.description


def test_a_description_names_the_emotion_exactly_when_its_delivery_says_so(
    many: tuple[Prompt, ...],
) -> None:
    named = 0
    for item in many:
        says = any(stem in item.description.lower() for stem in EMOTION_STEMS[item.emotion])
        assert says == delivery("variety", item.index).names_emotion, item
        named += says
    assert 0.45 < named / DRAWS < 0.55


def test_every_level_of_every_axis_is_asked_for() -> None:
    asked = [delivery("variety", index) for index in range(2_000)]
    for axis in bank.AXES:
        levels = Counter(getattr(item, axis) for item in asked)
        assert set(levels) == {-1, 0, 1}
        assert min(levels.values()) > 0.2 * len(asked)
