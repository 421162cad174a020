"""What is said: a roleplay line composed from the sentences of one scene and one emotion.

A length band is drawn first, then shapes and sentences until a line falls into it, so that the
distribution of lengths is the bands' and not an accident of the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scoring.tts.prompt_stream import bank
from scoring.tts.prompt_stream.draws import Draws

Part = Literal[
    "cry", "cry to you", "brief", "brief to you", "short to you", "opener", "line", "detail",
    "ask", "closer",
]  # fmt: skip
Shape = tuple[Part, ...]


@dataclass(frozen=True)
class Band:
    """Lengths from ``fewest`` to ``most`` words, and the shapes that reach them."""

    fewest: int
    most: int
    share: int
    shapes: tuple[Shape, ...]


_SHORT: tuple[Shape, ...] = (("brief to you",), ("cry to you", "brief"), ("short to you",))
_MEDIUM: tuple[Shape, ...] = (
    ("line",),
    ("line",),
    ("cry", "line"),
    ("cry to you", "line"),
    ("cry to you", "closer"),
    ("brief to you", "closer"),
    ("opener", "closer"),
)
_LONG: tuple[Shape, ...] = (
    ("line",),
    ("cry to you", "line"),
    ("opener", "line"),
    ("line", "detail"),
    ("line", "ask"),
    ("line", "closer"),
)
_LONGER: tuple[Shape, ...] = (
    ("opener", "line"),
    ("line", "detail"),
    ("line", "closer"),
    ("cry to you", "line", "detail"),
    ("opener", "line", "detail"),
    ("opener", "line", "ask"),
    ("opener", "line", "closer"),
    ("line", "detail", "ask"),
    ("line", "detail", "closer"),
)
_LONGEST: tuple[Shape, ...] = (
    ("opener", "line", "detail"),
    ("line", "detail", "closer"),
    ("opener", "line", "closer"),
    ("opener", "line", "detail", "ask"),
    ("opener", "line", "detail", "closer"),
    ("line", "detail", "ask", "closer"),
)

BANDS = (
    Band(3, 4, share=1, shapes=_SHORT),
    Band(5, 6, share=1, shapes=_SHORT),
    Band(7, 9, share=2, shapes=_MEDIUM),
    Band(10, 12, share=3, shapes=_MEDIUM),
    Band(13, 16, share=3, shapes=_LONG),
    Band(17, 20, share=3, shapes=_LONG),
    Band(21, 24, share=3, shapes=_LONGER),
    Band(25, 28, share=3, shapes=_LONGER),
    Band(29, 32, share=2, shapes=_LONGEST),
    Band(33, 36, share=2, shapes=_LONGEST),
    Band(37, 40, share=2, shapes=_LONGEST),
)


def compose(emotion: str, draws: Draws) -> str:
    """A line of 3 to 40 words that shows ``emotion``.

    Order of draws: scene, band (a band of share 3 stands in the list three times); then for each
    attempt the shape, a sentence for each part, and, unless a shared slot occurs twice, a value
    for each slot in order of occurrence, among those that this line does not hold yet.
    """
    scene = draws.choose(bank.scenes())
    band = draws.choose([band for band in BANDS for _ in range(band.share)])
    while True:
        text = attempt(band, scene, emotion, draws)
        if text is not None:
            return text


def attempt(band: Band, scene: bank.Scene, emotion: str, draws: Draws) -> str | None:
    """One try at a line of the band; None when it contradicts itself or has another length."""
    sentences = [_sentence(part, scene, emotion, draws) for part in draws.choose(band.shapes)]
    if _repeats_shared_slot(sentences, scene):
        return None
    text = _say(sentences, scene, draws)
    return text if band.fewest <= len(text.split()) <= band.most else None


def _sentence(part: Part, scene: bank.Scene, emotion: str, draws: Draws) -> str:
    feeling = bank.shared_lines().emotions[emotion]
    choices: dict[Part, bank.Phrases] = {
        "cry": feeling.cries,
        "cry to you": feeling.cries,
        "brief": feeling.briefs,
        "brief to you": feeling.briefs,
        "short to you": scene.shorts,
        "opener": feeling.openers,
        "line": scene.lines[emotion],
        "detail": scene.details,
        "ask": scene.asks,
        "closer": feeling.closers,
    }
    sentence = draws.choose(choices[part])
    if part.endswith("to you"):
        return f"{sentence[:-1]}, {{you}}{sentence[-1]}"
    return sentence


def _repeats_shared_slot(sentences: list[str], scene: bank.Scene) -> bool:
    """Whether a line would mention, say, two weekdays, which sounds like a contradiction."""
    shared = [
        slot
        for sentence in sentences
        for slot in bank.slots_of(sentence)
        if slot not in scene.slots
    ]
    return len(shared) > len(set(shared))


def _say(sentences: list[str], scene: bank.Scene, draws: Draws) -> str:
    left = {slot: list(values) for slot, values in bank.shared_lines().slots.items()}
    left.update({slot: list(values) for slot, values in scene.slots.items()})
    filled = []
    for sentence in sentences:
        values = {}
        for slot in bank.slots_of(sentence):
            values[slot] = draws.choose(left[slot])
            left[slot].remove(values[slot])
        said = bank.fill(sentence, values)
        filled.append(said[0].upper() + said[1:])
    return " ".join(filled)
