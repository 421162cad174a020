"""Takes secrets out of text that people will read.

Two nets: the values that a program knows to be secret, wherever they appear, and whatever looks
like a secret because of what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import BaseModel, SecretStr

HIDDEN = "[redacted]"
MIN_SECRET_CHARS = 6
"""Shorter values would blot out ordinary words."""

_SHAPES = (
    # scheme://user:password@host
    re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@]{0,128}:)[^\s/@]{1,512}(?=@)", re.I),
    # password=..., "password": "...", as in connection strings and JSON
    re.compile(
        r"(?P<keep>(?<![a-z])(?:password|passwd|secret|admin[-_]key(?:_previous)?|api[-_]key|"
        r"access[-_]key|secret[-_]key|token)\b[\"']?\s{0,3}[=:]\s{0,3})"
        r"(?:'[^']{0,512}'|\"[^\"]{0,512}\"|[^\s,;&'\"]{1,512})",
        re.I,
    ),
    re.compile(r"(?P<keep>\bBearer\s{1,3})[\w.~+/=-]{1,1024}", re.I),
    # Tokens of the model hub.
    re.compile(r"(?P<keep>\bhf_)[A-Za-z0-9]{8,200}"),
)


class Redactor:
    """Hides ``secrets`` and everything of a secret's shape."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one secret may contain another.
        known = sorted({s for s in secrets if len(s) >= MIN_SECRET_CHARS}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """``text`` without the secrets in it."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for shape in _SHAPES:
            text = shape.sub(rf"\g<keep>{HIDDEN}", text)
        return text


def secrets_of(settings: BaseModel) -> tuple[str, ...]:
    """The values of all secret fields of ``settings``."""
    values = (value for _, value in settings)
    return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))
