"""Word error rate: how much of the text can be understood.

Text and transcript go through Whisper's English normaliser with its spelling table ("colour" and
"color", "twenty" and "20", "won't" and "will not" are the same), then through the alignment of
jiwer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

from scoring.contract import WordErrors


def word_errors(reference: str, hypothesis: str) -> WordErrors:
    """The edits that turn ``reference`` into ``hypothesis``, both normalised first.

    A reference without words, such as "Hmm..." to the normaliser, makes every word of the
    hypothesis an insertion.
    """
    expected, heard = normalise(reference), normalise(hypothesis)
    if not expected:
        inserted = len(heard.split())
        return WordErrors(substitutions=0, deletions=0, insertions=inserted, words=0)
    alignment = jiwer.process_words(expected, heard)
    return WordErrors(
        substitutions=alignment.substitutions,
        deletions=alignment.deletions,
        insertions=alignment.insertions,
        words=len(expected.split()),
    )


def sample_wer(errors: WordErrors) -> float:
    """Edits per reference word of one sample; raw, so it may exceed 1.

    An empty transcript has rate 1. Without reference words nothing could be missed: 0 where
    nothing was said either, else 1.
    """
    if errors.words == 0:
        return 1.0 if errors.insertions else 0.0
    return errors.edits / errors.words


def corpus_wer(samples: Iterable[WordErrors]) -> float:
    """All edits over all reference words; raw, so it may exceed 1.

    Where no sample has a reference word, the edits count as if there were one.
    """
    counted = list(samples)
    words = sum(errors.words for errors in counted)
    return sum(errors.edits for errors in counted) / max(words, 1)


def normalise(text: str) -> str:
    """English text as words in one spelling, separated by single spaces.

    Whisper's normaliser makes a word of the dots that end "I don't know...": such are left out.
    """
    words = str(_normaliser()(text)).split()
    return " ".join(word for word in words if any(letter.isalnum() for letter in word))


@cache
def _normaliser() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()
