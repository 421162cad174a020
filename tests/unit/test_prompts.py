"""The prompt stream is recomputable, and prompt files are read strictly."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.contract import MAX_PROMPTS, FailureCode, ListedPrompts, Prompt, SeededPrompts
from scoring.errors import ScoringError
from scoring.tts import prompts
from scoring.tts.prompt_stream import bank
from scoring.tts.prompts import (
    STREAM_VERSION,
    contrast_pair,
    load_prompts,
    prompt,
    prompts_digest,
    resolve,
    stream,
)

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
    "twenties, speaks very slowly and with flat intonation, as if nothing else in the world"
    " mattered. The smooth voice is pitched quite low and moderate in energy."
)
GOLDEN_SECOND = (
    "That is not an island in the open ocean, it is breathing, and the cabin boy is "
    "standing on it! What else haven't you told me, Jessica?"
)
GOLDEN_DISTANT = (
    "My goodness, Gloria! The alien probe was lost in nineteen thirty-five, and now it is "
    "right in front of us!"
)
GOLDEN_DIGEST = "ecd9b3a11917c8c4e26487c7875ca88d6939d929ce94000380533124095f82cf"

seeds = st.text(min_size=1, max_size=64)
indices = st.integers(min_value=0, max_value=2**63)


# --- The stream is a function of seed and index ----------------------------------------------


def test_golden_prompts_change_only_with_the_stream_version() -> None:
    first, second, distant = (prompt("golden", index) for index in (0, 1, 10**12))
    assert STREAM_VERSION == "tts-prompts-1"
    assert (first.emotion, first.speaker, first.text) == GOLDEN_FIRST
    assert first.description == GOLDEN_DESCRIPTION
    assert second.text == GOLDEN_SECOND
    assert distant.text == GOLDEN_DISTANT
    assert prompts_digest(stream("golden", 1_000)) == GOLDEN_DIGEST


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


# --- Sources and digests ---------------------------------------------------------------------


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


# --- Prompt files ----------------------------------------------------------------------------

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
