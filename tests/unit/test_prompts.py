"""The prompt stream is recomputable, varied and well formed; prompt files are read strictly."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper_normalizer.english import EnglishTextNormalizer

from scoring.contract import (
    MAX_PROMPTS,
    FailureCode,
    ListedPrompts,
    Prompt,
    SeededPrompts,
)
from scoring.errors import ScoringError
from scoring.tts import prompts
from scoring.tts.prompt_stream import bank, lines
from scoring.tts.prompt_stream.draws import Draws
from scoring.tts.prompts import (
    STREAM_VERSION,
    contrast_pair,
    delivery,
    load_prompts,
    prompt,
    prompts_digest,
    resolve,
    stream,
)

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
GOLDEN_FIRST = (
    "tender",
    "Jenna",
    (
        "My stepmother would be so proud of you, today and every Sunday. Where did you put the "
        "keys, Edward?"
    ),
)
GOLDEN_DESCRIPTION = (
    "The sound is very clean and close to the microphone. Jenna, a woman in her late "
    "twenties, speaks very slowly and with flat intonation, as if nothing else in the world "
    "mattered. The smooth voice is pitched quite low and moderate in energy."
)
GOLDEN_SECOND = (
    "That is not an island in the open ocean, it is breathing, and the cabin boy is standing "
    "on it! What else haven't you told me, Jessica?"
)
GOLDEN_DISTANT = (
    "My goodness, Adam! The alien probe was lost in nineteen thirty-five, and now it is right"
    " in front of us!"
)
GOLDEN_DIGEST = "ee02c74aaecaf483216f673c0f5b3e9713fab69122908c177133ada94ba93650"

seeds = st.text(min_size=1, max_size=64)
indices = st.integers(min_value=0, max_value=2**63)


@pytest.fixture(scope="module")
def many() -> tuple[Prompt, ...]:
    return stream("variety", DRAWS)


# --- The stream is a function of seed and index ---------------------------------------------


def test_golden_prompts_change_only_with_the_stream_version() -> None:
    first, second, distant = (prompt("golden", index) for index in (0, 1, 10**12))
    assert STREAM_VERSION == "tts-prompts-1"
    assert (first.emotion, first.speaker, first.text) == GOLDEN_FIRST
    assert first.description == GOLDEN_DESCRIPTION
    assert second.text == GOLDEN_SECOND
    assert distant.text == GOLDEN_DISTANT
    assert prompts_digest(stream("golden", 1_000)) == GOLDEN_DIGEST


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


@given(seeds, indices)
@settings(max_examples=100, deadline=None)
def test_any_prompt_can_be_drawn_again_and_is_well_formed(seed: str, index: int) -> None:
    drawn = prompt(seed, index)
    assert drawn == prompt(seed, index)
    assert drawn.index == index
    assert 3 <= len(drawn.text.split()) <= 40
    assert drawn.text[0].isupper()
    assert drawn.text[-1] in ".?!"
    assert not set("{}") & set(drawn.text + drawn.description)


@given(seeds, st.integers(min_value=0, max_value=20))
@settings(max_examples=20, deadline=None)
def test_random_access_agrees_with_the_stream(seed: str, count: int) -> None:
    assert (
        stream(seed, count) == tuple(prompt(seed, index) for index in reversed(range(count)))[::-1]
    )


def test_seeds_name_different_streams() -> None:
    texts = [{item.text for item in stream(seed, 300)} for seed in ("1", "1\0", "01")]
    assert all(len(a & b) <= 3 for a, b in zip(texts, texts[1:] + texts[:1], strict=True))


# --- Variety --------------------------------------------------------------------------------


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


# --- Text that can be spoken, heard and written down ----------------------------------------


def test_text_holds_nothing_that_is_spelled_in_two_ways(many: tuple[Prompt, ...]) -> None:
    traps = re.compile(
        r"\b(ok|okay|alright|all right|o'clock|any ?more than|grey|mister|missus|a hundred|"
        r"a thousand|and a half|percent point|I, um)\b|^Um",
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


# --- The text bank --------------------------------------------------------------------------


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


# --- Delivery and its description -----------------------------------------------------------


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


@given(seeds, indices, st.sampled_from(bank.AXES))
@settings(max_examples=50, deadline=None)
def test_a_contrast_pair_differs_in_one_axis_of_its_description(
    seed: str, index: int, axis: bank.Axis
) -> None:
    low, high = contrast_pair(seed, index, axis)
    assert low.description != high.description
    assert low.model_copy(update={"description": high.description}) == high
    assert (low.text, low.speaker) == (prompt(seed, index).text, prompt(seed, index).speaker)
    phrases = bank.descriptions().axes[axis]
    swapped = [
        low.description.replace(below, above)
        for form in ("adjective", "adverbial")
        for below, above in zip(
            getattr(phrases.low, form), getattr(phrases.high, form), strict=True
        )
    ]
    assert high.description in swapped


# --- Sources and digests --------------------------------------------------------------------


def test_a_seeded_source_is_the_start_of_its_stream() -> None:
    assert resolve(SeededPrompts(seed="s", count=5)) == stream("s", 5)


def test_a_listed_source_is_taken_as_it_is_unless_an_index_repeats() -> None:
    first = Prompt(index=4, text="Hello there.", description="A calm voice.")
    other = first.model_copy(update={"index": 2})
    assert resolve(ListedPrompts(prompts=(first, other))) == (first, other)
    with pytest.raises(ScoringError, match=r"prompts\[1\]: index 4") as caught:
        resolve(ListedPrompts(prompts=(first, first)))
    assert caught.value.code is FailureCode.BAD_REQUEST


def test_the_digest_is_the_documented_one_and_sees_every_field_and_the_order() -> None:
    item = Prompt(index=0, text="Café.", description="Calm.", emotion="sad", speaker="Joy")
    line = (
        '{"description":"Calm.","emotion":"sad","index":0,"speaker":"Joy","text":"Caf\\u00e9."}\n'
    )
    assert prompts_digest([item]) == hashlib.sha256(line.encode()).hexdigest()
    other = prompt("s", 1)
    changed = [
        item.model_copy(update={field: value})
        for field, value in {
            "index": 1, "text": "a", "description": "b", "emotion": "c", "speaker": "d",
        }.items()
    ]  # fmt: skip
    variants = [[item], [item, other], [other, item], [], *([one] for one in changed)]
    assert len({prompts_digest(variant) for variant in variants}) == len(variants)


# --- Prompt files ---------------------------------------------------------------------------

GOOD_LINE = '{"text": "Hello there.", "description": "A calm voice."}'


def _written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_file_written_from_the_stream_reads_back_the_same(tmp_path: Path) -> None:
    drawn = stream("file", 20)
    path = _written(tmp_path, "".join(item.model_dump_json() + "\n" for item in drawn))
    assert load_prompts(path) == drawn


def test_text_and_description_suffice_and_the_position_is_the_index(tmp_path: Path) -> None:
    loaded = load_prompts(_written(tmp_path, f"{GOOD_LINE}\r\n{GOOD_LINE}"))
    assert [(item.index, item.emotion, item.speaker) for item in loaded] == [
        (0, "neutral", ""),
        (1, "neutral", ""),
    ]


@pytest.mark.parametrize(
    ("second_line", "complaint"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"text": "Hi."}', "description: Field required"),
        (GOOD_LINE.replace("}", ', "voice": "x"}'), "voice: Extra inputs"),
        (GOOD_LINE.replace("}", f', "{"k" * 5_000}": "x"}}'), "Extra inputs"),
        (GOOD_LINE.replace('"Hello there."', "5"), "text: Input should be a valid string"),
        (GOOD_LINE.replace("Hello there.", " ... "), "text: nothing in it can be spoken"),
        (GOOD_LINE.replace("Hello there.", "x" * 2_001), "text: String should have at most"),
        (GOOD_LINE.replace("}", ', "index": -1}'), "index: Input should be greater"),
        (GOOD_LINE.replace("}", ', "index": "1"}'), "index: Input should be a valid integer"),
        (GOOD_LINE.replace("}", ', "index": NaN}'), "not JSON"),
        (GOOD_LINE.replace("}", ', "index": 0}'), "index 0 is already that of"),
        ("[" * 60_000, "not JSON"),
        ('{"text": "' + "x" * 70_000 + '"}', "line of more than"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_bad_line_is_refused_by_file_and_line(
    tmp_path: Path, second_line: str | bytes, complaint: str
) -> None:
    second = second_line if isinstance(second_line, bytes) else second_line.encode()
    path = _written(tmp_path, GOOD_LINE.encode() + b"\n" + second + b"\n")
    with pytest.raises(ScoringError) as caught:
        load_prompts(path)
    assert caught.value.code is FailureCode.BAD_REQUEST
    assert caught.value.message.startswith(f"{path}:2: ")
    assert complaint in caught.value.message
    assert len(caught.value.message) < 500 + len(str(path))


def test_an_empty_a_missing_and_an_odd_file_are_refused(tmp_path: Path) -> None:
    for path, complaint in (
        (_written(tmp_path, ""), "no prompts"),
        (tmp_path / "absent.jsonl", "no such file"),
        (tmp_path, "no such file"),
    ):
        with pytest.raises(ScoringError, match=complaint) as caught:
            load_prompts(path)
        assert caught.value.code is FailureCode.BAD_REQUEST


def test_too_many_prompts_and_too_many_bytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _written(tmp_path, (GOOD_LINE + "\n") * (MAX_PROMPTS + 1))
    with pytest.raises(ScoringError, match=f":{MAX_PROMPTS + 1}: more than {MAX_PROMPTS} prompts"):
        load_prompts(path)
    monkeypatch.setattr(prompts, "MAX_FILE_BYTES", 1_000)
    with pytest.raises(ScoringError, match="larger than 1000 bytes"):
        load_prompts(path)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_content_gets_past_the_typed_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = _written(tmp_path_factory.mktemp("fuzz"), content)
    try:
        loaded = load_prompts(path)
    except ScoringError as error:
        assert error.code is FailureCode.BAD_REQUEST
    else:
        assert all(json.loads(item.model_dump_json()) for item in loaded)
