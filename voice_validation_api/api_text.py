"""Text of strangers on its way out: whole in meaning, harmless to terminals, pages and logs.

JSON escapes what could end a string. What is left could still deceive whoever looks at it:
control characters, marks that turn the direction of writing, characters without width, halves of
surrogate pairs (which are no text at all).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator

MAX_TEXT_CHARS: Final = 4_000
"""More than anything that is stored for showing."""

_REPLACEMENT = "\ufffd"
_DECEPTIVE = {
    *range(0x20),
    *range(0x7F, 0xA0),  # control characters
    0xAD,
    *range(0x200B, 0x2010),
    *range(0x2060, 0x2066),
    0xFEFF,  # without width
    0x061C,
    *range(0x2028, 0x202F),
    *range(0x2066, 0x2070),  # separators of lines, direction of writing
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),  # annotations, tags
    *range(0xD800, 0xE000),  # halves of surrogate pairs
} - {ord("\t"), ord("\n")}
_TABLE = dict.fromkeys(_DECEPTIVE, _REPLACEMENT)


def public_text(text: str) -> str:
    """``text`` with U+FFFD for every deceptive character, cut at 4,000 characters.

    Tabs and line feeds stay.
    """
    text = text[:MAX_TEXT_CHARS]
    return text if text.isascii() and text.isprintable() else text.translate(_TABLE)


def public_json(value: Any) -> Any:
    """JSON with every text in it, keys too, made public."""
    if isinstance(value, str):
        return public_text(value)
    if isinstance(value, dict):
        return {public_text(key): public_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [public_json(item) for item in value]
    return value


Text = Annotated[str, AfterValidator(public_text)]
"""A field that shows what a stranger wrote."""
Object = Annotated[dict[str, Any], AfterValidator(public_json)]
