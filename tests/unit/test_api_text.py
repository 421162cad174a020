"""What strangers wrote, on its way out."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_validation_api.api_text import MAX_TEXT_CHARS, public_json, public_text

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.mark.parametrize(
    "text", ["", "plain", "Füße, naïve — “quoted” 日本語 🎙", "two\nlines\tand a tab", "<b>&amp;"]
)
def test_honest_text_stays_as_it_is(text: str) -> None:
    assert public_text(text) == text


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\0b", "gpj.\u202eexe", "a\u200bb", "\ud800", "\u2028", "\x85", "\u2066"]
)
def test_deceptive_characters_are_shown_to_be_there(text: str) -> None:
    shown = public_text(text)
    assert "\ufffd" in shown
    assert len(shown) == len(text)


@given(st.text(st.characters(exclude_categories=[]), max_size=50))
def test_no_text_controls_a_terminal_turns_its_direction_or_breaks_the_encoding(text: str) -> None:
    shown = public_text(text)
    shown.encode()
    for char in set(shown) - set("\t\n"):
        assert unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}
        assert unicodedata.bidirectional(char) not in BIDI


def test_endless_text_is_cut() -> None:
    assert len(public_text("x" * 10**6)) == MAX_TEXT_CHARS


def test_keys_and_depths_of_json_are_cleaned_too() -> None:
    shown = public_json({"a\u202e": ["\0", {"b": "\ud800"}], "n": 1.5, "none": None})
    assert shown == {"a\ufffd": ["\ufffd", {"b": "\ufffd"}], "n": 1.5, "none": None}
    json.dumps(shown, ensure_ascii=False).encode()
