"""Word errors and their rates."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.contract import WordErrors
from scoring.metrics.wer import corpus_wer, normalise, sample_wer, word_errors

# Words that the normaliser leaves alone.
WORDS = st.sampled_from(["granite", "lantern", "drifted", "past", "copper", "orchard", "velvet"])
TEXTS = st.lists(WORDS, max_size=12).map(" ".join)
SPOKEN = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("The colour of honour.", "the color of honor"),
        ("I won't; you'll see!", "I will not you will see"),
        ("Twenty-one guards, and $5 each.", "21 guards and five dollars each"),
        ("Well, um, Mr. Smith?", "well mister smith"),
        ("Where's the cat?", "where is the cat"),
        ("Wait... I don't know...", "wait I don't know"),
    ],
)
def test_different_spellings_of_the_same_words_are_no_errors(
    reference: str, hypothesis: str
) -> None:
    assert word_errors(reference, hypothesis).edits == 0


def test_each_kind_of_edit_is_counted() -> None:
    errors = word_errors("granite lantern drifted past", "granite velvet drifted past copper")
    assert errors == WordErrors(substitutions=1, deletions=0, insertions=1, words=4)
    errors = word_errors("granite lantern drifted past", "granite past")
    assert errors == WordErrors(substitutions=0, deletions=2, insertions=0, words=4)


def test_an_empty_transcript_has_rate_one() -> None:
    for nothing in ("", "  ", "...", "[music]"):
        assert sample_wer(word_errors("granite lantern", nothing)) == 1.0


def test_a_long_transcript_has_a_rate_above_one() -> None:
    assert sample_wer(word_errors("granite", "past copper orchard")) == 3.0


def test_a_reference_without_words_is_met_by_silence_only() -> None:
    assert sample_wer(word_errors("Hmm...", "")) == 0.0
    errors = word_errors("Hmm...", "past copper")
    assert errors == WordErrors(substitutions=0, deletions=0, insertions=2, words=0)
    assert sample_wer(errors) == 1.0


def test_the_corpus_rate_is_edits_over_words_and_not_a_mean_of_rates() -> None:
    short = WordErrors(substitutions=1, deletions=0, insertions=0, words=1)
    long = WordErrors(substitutions=0, deletions=0, insertions=0, words=9)
    assert corpus_wer([short, long]) == 0.1


def test_no_samples_have_no_errors() -> None:
    assert corpus_wer([]) == 0.0


@settings(deadline=None)
@given(TEXTS)
def test_a_text_has_no_errors_against_itself(text: str) -> None:
    errors = word_errors(text, text)
    assert (errors.edits, errors.words) == (0, len(text.split()))


@settings(deadline=None)
@given(SPOKEN, TEXTS)
def test_edits_lie_between_the_difference_and_the_length(reference: str, hypothesis: str) -> None:
    errors = word_errors(reference, hypothesis)
    expected, heard = len(reference.split()), len(hypothesis.split())
    assert errors.insertions - errors.deletions == heard - expected
    assert abs(heard - expected) <= errors.edits <= max(heard, expected)
    assert sample_wer(errors) == errors.edits / expected


@settings(deadline=None)
@given(SPOKEN, TEXTS)
def test_as_many_edits_lead_back(reference: str, hypothesis: str) -> None:
    there, back = word_errors(reference, hypothesis), word_errors(hypothesis, reference)
    assert there.edits == back.edits


@given(
    st.lists(
        st.builds(
            WordErrors,
            substitutions=st.integers(0, 9),
            deletions=st.integers(0, 9),
            insertions=st.integers(0, 9),
            words=st.integers(1, 9),
        ),
        min_size=1,
    )
)
def test_the_corpus_rate_lies_between_those_of_its_samples(samples: list[WordErrors]) -> None:
    rates = [sample_wer(errors) for errors in samples]
    assert min(rates) - 1e-12 <= corpus_wer(samples) <= max(rates) + 1e-12
    words = sum(errors.words for errors in samples)
    assert corpus_wer(samples) * words == pytest.approx(sum(e.edits for e in samples))


@given(st.text(max_size=200))
def test_any_text_can_be_normalised(text: str) -> None:
    words = normalise(text)
    assert words == " ".join(words.split())
