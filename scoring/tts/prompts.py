"""Which lines are spoken, by whom, and how: an unlimited stream, or a file.

The stream is a pure function of a seed and an index, so every submission of a round is judged on
the same unseen prompts and every validator recomputes them; ``prompt_stream/draws.py`` specifies
the derivation. Any prompt can be had without those before it.

A prompt file is UTF-8 JSON lines, one object a line::

    {"text": "...", "description": "...", "emotion": "sad", "speaker": "Laura", "index": 0}

``text`` and ``description`` are required; ``emotion`` is ``"neutral"``, ``speaker`` empty and
``index`` the line's position from 0 unless given. Indices are unique. A dataset of a hub is
brought into this form by whoever downloads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import from_json

from scoring.contract import MAX_PROMPTS, FailureCode, ListedPrompts, Prompt, SeededPrompts
from scoring.errors import ScoringError
from scoring.tts.prompt_stream import bank
from scoring.tts.prompt_stream.bank import Axis, Level
from scoring.tts.prompt_stream.descriptions import Delivery, describe, draw_delivery, only
from scoring.tts.prompt_stream.draws import STREAM_VERSION, Draws
from scoring.tts.prompt_stream.lines import compose

__all__ = [
    "STREAM_VERSION",
    "Axis",
    "Delivery",
    "contrast_pair",
    "delivery",
    "load_prompts",
    "prompt",
    "prompts_digest",
    "resolve",
    "stream",
]

# A prompt's two texts hold 2,000 characters each, at most twelve bytes a character when escaped.
MAX_LINE_BYTES = 64 * 1024
MAX_FILE_BYTES = 32 * 1024 * 1024


def prompt(seed: str, index: int) -> Prompt:
    """Prompt ``index`` (from 0) of the stream that ``seed`` names."""
    emotion = _emotion(seed, index)
    speaker = _speaker(seed, index)
    return Prompt(
        index=index,
        text=compose(emotion, Draws(seed, index, "text")),
        description=describe(
            speaker, emotion, delivery(seed, index), Draws(seed, index, "description")
        ),
        emotion=emotion,
        speaker=speaker.name,
    )


def delivery(seed: str, index: int) -> Delivery:
    """The levels that the description of prompt ``index`` was composed from."""
    return draw_delivery(_emotion(seed, index), Draws(seed, index, "delivery"))


def stream(seed: str, count: int) -> tuple[Prompt, ...]:
    """The first ``count`` prompts of the stream that ``seed`` names."""
    return tuple(prompt(seed, index) for index in range(count))


def contrast_pair(seed: str, index: int, axis: Axis) -> tuple[Prompt, Prompt]:
    """Prompt ``index`` asked for with ``axis`` low, then high.

    Text and speaker are the prompt's own. The feeling is neutral, the other axes are ordinary,
    and the two descriptions differ in the words for ``axis`` alone.
    """
    original = prompt(seed, index)
    speaker = _speaker(seed, index)

    def asked_for(level: Level) -> Prompt:
        draws = Draws(seed, index, "contrast")
        description = describe(speaker, "neutral", only(axis, level), draws)
        return original.model_copy(update={"description": description, "emotion": "neutral"})

    return asked_for(-1), asked_for(1)


def load_prompts(path: Path) -> tuple[Prompt, ...]:
    """The prompts of a JSON lines file, in its order.

    Raises ScoringError (BAD_REQUEST), naming file and line, when the file cannot be read, holds
    no prompt or more than ``MAX_PROMPTS``, exceeds ``MAX_FILE_BYTES`` or ``MAX_LINE_BYTES``, or
    when a line is not a prompt or repeats an index.
    """
    prompts = tuple(_parse(path, number, line) for number, line in _lines(path))
    if not prompts:
        raise _bad(f"{path}: no prompts in this file")
    _refuse_repeated_indices(prompts, [f"{path}:{n}" for n in range(1, len(prompts) + 1)])
    return prompts


def resolve(source: ListedPrompts | SeededPrompts) -> tuple[Prompt, ...]:
    """The prompts that a request means.

    Raises ScoringError (BAD_REQUEST) when listed prompts repeat an index.
    """
    if isinstance(source, SeededPrompts):
        return stream(source.seed, source.count)
    _refuse_repeated_indices(source.prompts, [f"prompts[{n}]" for n in range(len(source.prompts))])
    return source.prompts


def prompts_digest(prompts: Sequence[Prompt]) -> str:
    """sha256 (hex) that names these prompts in this order.

    It is taken over one line per prompt, each ended by a newline: the JSON object of all five
    fields with sorted keys, no spaces, and non-ASCII characters escaped as ``\\uXXXX``.
    """
    digest = hashlib.sha256()
    for item in prompts:
        line = json.dumps(item.model_dump(), sort_keys=True, separators=(",", ":"))
        digest.update(line.encode("ascii") + b"\n")
    return digest.hexdigest()


def _emotion(seed: str, index: int) -> str:
    return Draws(seed, index, "emotion").choose(bank.emotions())


def _speaker(seed: str, index: int) -> bank.Speaker:
    return Draws(seed, index, "speaker").choose(bank.descriptions().speakers)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.is_file():
        raise _bad(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _bad(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise _bad(f"{path}: larger than {MAX_FILE_BYTES} bytes")
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    if len(lines) > MAX_PROMPTS:
        raise _bad(f"{path}:{MAX_PROMPTS + 1}: more than {MAX_PROMPTS} prompts")
    yield from enumerate(lines, start=1)


def _parse(path: Path, number: int, line: bytes) -> Prompt:
    if len(line) > MAX_LINE_BYTES:
        raise _bad(f"{path}:{number}: line of more than {MAX_LINE_BYTES} bytes")
    try:
        fields = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        raise _bad(f"{path}:{number}: not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise _bad(f"{path}:{number}: not a JSON object")
    try:
        parsed = Prompt.model_validate({"index": number - 1, **fields}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _bad(f"{path}:{number}: {where[:80]}: {first['msg']}") from error
    if not any(character.isalnum() for character in parsed.text):
        raise _bad(f"{path}:{number}: text: nothing in it can be spoken")
    return parsed


def _refuse_repeated_indices(prompts: Sequence[Prompt], places: Sequence[str]) -> None:
    seen: dict[int, str] = {}
    for item, place in zip(prompts, places, strict=True):
        if item.index in seen:
            raise _bad(f"{place}: index {item.index} is already that of {seen[item.index]}")
        seen[item.index] = place


def _bad(message: str) -> ScoringError:
    return ScoringError(
        FailureCode.BAD_REQUEST,
        message,
        'A prompt file holds one JSON object a line, with "text" and "description".',
    )
