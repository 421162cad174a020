"""The JSON files that prompts are composed from, parsed once.

Lists are used in file order and scenes in the order of their file names: both are part of what
``STREAM_VERSION`` freezes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from scoring.contract import Record

Phrases = tuple[str, ...]
Level = Literal[-1, 0, 1]
Axis = Literal["pitch_level", "pitch_range", "rate", "energy"]

AXES: tuple[Axis, ...] = ("pitch_level", "pitch_range", "rate", "energy")

_SLOT = re.compile(r"\{([\w.]+)\}")


class EmotionLines(Record):
    """Sentences that show one emotion and fit every scene."""

    cries: Phrases
    briefs: Phrases
    openers: Phrases
    closers: Phrases


class SharedLines(Record):
    """What all scenes share: slot values and the sentences of each emotion."""

    slots: dict[str, Phrases]
    emotions: dict[str, EmotionLines]


class Scene(Record):
    """One setting: its own slot values and sentences; ``lines`` are grouped by emotion.

    ``details``, ``asks`` and ``shorts`` fit every emotion.
    """

    slots: dict[str, Phrases]
    lines: dict[str, Phrases]
    details: Phrases
    asks: Phrases
    shorts: Phrases


class Speaker(Record):
    """Somebody whom descriptions name. The names are among those that Parler-TTS knows."""

    name: str
    gender: Literal["female", "male"]
    who: str
    timbre: str


class LevelPhrases(Record):
    """Ways to ask for one level of one axis."""

    adjective: Phrases
    adverbial: Phrases


class AxisPhrases(Record):
    """The three levels of one axis."""

    low: LevelPhrases
    neutral: LevelPhrases
    high: LevelPhrases


class Feeling(Record):
    """How one emotion is described and delivered.

    ``named`` phrases contain the emotion's word, ``implied`` ones do not. ``delivery`` lists the
    levels to draw from for each axis; a level listed twice is twice as likely.
    """

    named: Phrases
    implied: Phrases
    delivery: dict[Axis, tuple[Level, ...]]


class Descriptions(Record):
    """Everything that voice descriptions are composed from."""

    speakers: tuple[Speaker, ...]
    pronouns: dict[Literal["female", "male"], dict[str, str]]
    axes: dict[Axis, AxisPhrases]
    feelings: dict[str, Feeling]
    recordings: Phrases
    layouts: Phrases


@cache
def shared_lines() -> SharedLines:
    """The content of ``lines.json``."""
    return SharedLines.model_validate_json(_bytes("lines.json"))


@cache
def scenes() -> tuple[Scene, ...]:
    """Every file of ``scenes/``, by file name."""
    names = sorted(entry.name for entry in files(__package__).joinpath("scenes").iterdir())
    return tuple(
        Scene.model_validate_json(_bytes("scenes", name))
        for name in names
        if name.endswith(".json")
    )


@cache
def descriptions() -> Descriptions:
    """The content of ``descriptions.json``."""
    return Descriptions.model_validate_json(_bytes("descriptions.json"))


@cache
def emotions() -> tuple[str, ...]:
    """The names of all emotions, sorted."""
    return tuple(sorted(shared_lines().emotions))


def slots_of(template: str) -> tuple[str, ...]:
    """The slot names of a template, in order of occurrence."""
    return tuple(_SLOT.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with every ``{slot}`` replaced."""
    return _SLOT.sub(lambda match: values[match.group(1)], template)


def _bytes(*path: str) -> bytes:
    return files(__package__).joinpath(*path).read_bytes()
