"""Which words of a transcript are wrong, for eyes: the evaluator's counts are what the score uses.

Words are compared in lower case and without punctuation. The evaluator's normaliser knows more
(numbers, spellings), so what is marked here may exceed its count by such a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Final

MAX_WORDS: Final = 200
"""Of a text; prompts have a tenth of that. The alignment is quadratic."""

_TOKEN = re.compile(r"[^\s\u2010-\u2015/-]+[\u2010-\u2015/-]*")
_IGNORED = re.compile(r"[\W_]+")


class Mark(str, Enum):
    """What became of a word."""

    SAME = "same"
    CHANGED = "changed"
    """Something else was heard."""
    MISSING = "missing"
    ADDED = "added"


@dataclass(frozen=True)
class Word:
    """A word as it was written. ``instead``: what was heard in its place."""

    mark: Mark
    text: str
    instead: str = ""


@dataclass(frozen=True)
class Run:
    """Words in a row that are right, or wrong: what was asked for and what was heard there."""

    is_right: bool
    asked: str
    heard: str


@dataclass(frozen=True)
class Marked:
    """A text with marks. ``was_cut``: there was more than is compared."""

    words: tuple[Word, ...]
    was_cut: bool

    @property
    def runs(self) -> list[Run]:
        """The words, wrong ones beside each other taken together: so they can be read."""
        runs = []
        for is_right, group in groupby(self.words, key=lambda word: word.mark is Mark.SAME):
            words = list(group)
            asked = [word.text for word in words if word.mark is not Mark.ADDED]
            heard = [word.instead or word.text for word in words if word.mark is not Mark.MISSING]
            runs.append(Run(is_right, " ".join(asked), " ".join(heard)))
        return runs


def mark_errors(text: str, transcript: str) -> Marked:
    """Align a transcript with its text by the fewest edits (Levenshtein 1966, over words)."""
    asked, heard = _words(text), _words(transcript)
    # A model that babbles on is not aligned to its end.
    longest = 3 * min(len(asked), MAX_WORDS) + 20
    was_cut = len(asked) > MAX_WORDS or len(heard) > longest
    return Marked(tuple(_align(asked[:MAX_WORDS], heard[:longest])), was_cut)


def _words(text: str) -> list[tuple[str, str]]:
    """Each word as it is compared and as it is written; a lone dash belongs to no word."""
    pairs = ((_IGNORED.sub("", token).lower(), token) for token in _TOKEN.findall(text))
    return [pair for pair in pairs if pair[0]]


def _align(asked: Sequence[tuple[str, str]], heard: Sequence[tuple[str, str]]) -> list[Word]:
    costs = _costs([key for key, _ in asked], [key for key, _ in heard])
    words: list[Word] = []
    i, j = len(asked), len(heard)
    while i or j:
        if i and j and asked[i - 1][0] == heard[j - 1][0] and costs[i][j] == costs[i - 1][j - 1]:
            i, j = i - 1, j - 1
            words.append(Word(Mark.SAME, asked[i][1]))
        elif i and j and costs[i][j] == costs[i - 1][j - 1] + 1:
            i, j = i - 1, j - 1
            words.append(Word(Mark.CHANGED, asked[i][1], heard[j][1]))
        elif i and costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
            words.append(Word(Mark.MISSING, asked[i][1]))
        else:
            j -= 1
            words.append(Word(Mark.ADDED, heard[j][1]))
    return words[::-1]


def _costs(asked: Sequence[str], heard: Sequence[str]) -> list[list[int]]:
    """``costs[i][j]``: edits between the first i and the first j words."""
    costs = [list(range(len(heard) + 1))]
    for i, word in enumerate(asked, start=1):
        above, row = costs[-1], [i]
        for j, other in enumerate(heard, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
        costs.append(row)
    return costs
