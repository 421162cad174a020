"""Marking the words of a transcript: the fewest edits, readable, bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voice_validation_api.pages.word_errors import MAX_WORDS, Mark, Run, mark_errors

WORDS = st.lists(st.sampled_from(["one", "Two,", "three.", "four"]), max_size=8).map(" ".join)


def marks(text: str, transcript: str) -> list[tuple[str, str, str]]:
    return [(w.mark.value, w.text, w.instead) for w in mark_errors(text, transcript).words]


def test_case_and_punctuation_are_no_errors() -> None:
    marked = mark_errors("Good morning, Grace!", "good morning grace")
    assert {word.mark for word in marked.words} == {Mark.SAME}


def test_each_kind_of_error_is_told_from_the_others() -> None:
    assert marks("the cat sat down", "the bat sat right down") == [
        ("same", "the", ""),
        ("changed", "cat", "bat"),
        ("same", "sat", ""),
        ("added", "right", ""),
        ("same", "down", ""),
    ]
    assert marks("a b", "b") == [("missing", "a", ""), ("same", "b", "")]


def test_silence_leaves_every_word_missing() -> None:
    assert [mark for mark, _, _ in marks("two words", "")] == ["missing", "missing"]


def test_wrong_words_in_a_row_are_read_together() -> None:
    assert mark_errors("we go home now", "we stay there now").runs == [
        Run(True, "we", "we"),
        Run(False, "go home", "stay there"),
        Run(True, "now", "now"),
    ]


def test_endless_babble_is_cut_and_says_so() -> None:
    marked = mark_errors("two words", "bla " * 5_000)
    assert marked.was_cut
    assert len(marked.words) < 100
    assert mark_errors("word " * (MAX_WORDS + 1), "word").was_cut


@given(WORDS, WORDS)
def test_marks_hold_both_texts_and_never_more_edits_than_words(text: str, heard: str) -> None:
    marked = mark_errors(text, heard)
    asked = [word.text for word in marked.words if word.mark is not Mark.ADDED]
    assert asked == text.split()
    spoken = [
        word.instead if word.mark is Mark.CHANGED else word.text
        for word in marked.words
        if word.mark is not Mark.MISSING
    ]
    assert [word.strip(",.").lower() for word in spoken] == [
        word.strip(",.").lower() for word in heard.split()
    ]
    edits = sum(word.mark is not Mark.SAME for word in marked.words)
    assert edits <= max(len(text.split()), len(heard.split()))
