"""How a line is said: the requested delivery, and its description in natural language."""

from __future__ import annotations

from dataclasses import dataclass

from scoring.tts.prompt_stream import bank
from scoring.tts.prompt_stream.bank import Axis, Level, Speaker
from scoring.tts.prompt_stream.draws import Draws


@dataclass(frozen=True)
class Delivery:
    """What a description asks for: -1 is low, 0 ordinary and 1 high, for this speaker.

    ``pitch_level`` is the mean pitch, ``pitch_range`` its movement (monotone to expressive),
    ``rate`` the speed, ``energy`` the loudness. ``names_emotion`` tells whether the description
    contains the emotion's word or only implies it.
    """

    pitch_level: Level
    pitch_range: Level
    rate: Level
    energy: Level
    names_emotion: bool


def draw_delivery(emotion: str, draws: Draws) -> Delivery:
    """A delivery that suits ``emotion``.

    Order of draws: the axes in ``AXES``, then whether to name the emotion (yes, no).
    """
    levels = bank.descriptions().feelings[emotion].delivery
    return Delivery(
        pitch_level=draws.choose(levels["pitch_level"]),
        pitch_range=draws.choose(levels["pitch_range"]),
        rate=draws.choose(levels["rate"]),
        energy=draws.choose(levels["energy"]),
        names_emotion=draws.choose((True, False)),
    )


def only(axis: Axis, level: Level) -> Delivery:
    """A delivery that is ordinary on all axes but one, and does not name an emotion."""
    return Delivery(
        pitch_level=level if axis == "pitch_level" else 0,
        pitch_range=level if axis == "pitch_range" else 0,
        rate=level if axis == "rate" else 0,
        energy=level if axis == "energy" else 0,
        names_emotion=False,
    )


def describe(speaker: Speaker, emotion: str, delivery: Delivery, draws: Draws) -> str:
    """A voice description in the manner of Parler-TTS that states every axis of ``delivery``.

    Order of draws: layout, feeling, recording, then an adjective and an adverbial for each axis
    in ``AXES``. All levels have equally many phrases, so two deliveries described with the same
    draws differ in nothing but the levels' words.
    """
    words = bank.descriptions()
    layout = draws.choose(words.layouts)
    feeling = words.feelings[emotion]
    values = {
        "name": speaker.name,
        "who": speaker.who,
        "timbre": speaker.timbre,
        "feeling": draws.choose(feeling.named if delivery.names_emotion else feeling.implied),
        "recording": draws.choose(words.recordings),
    }
    for axis in bank.AXES:
        phrases = _phrases(words.axes[axis], getattr(delivery, axis))
        values[f"{axis}.adjective"] = draws.choose(phrases.adjective)
        values[f"{axis}.adverbial"] = draws.choose(phrases.adverbial)
    # Twice: the phrases hold pronouns of their own.
    return bank.fill(bank.fill(layout, values), words.pronouns[speaker.gender])


def _phrases(axis: bank.AxisPhrases, level: Level) -> bank.LevelPhrases:
    return {-1: axis.low, 0: axis.neutral, 1: axis.high}[level]
