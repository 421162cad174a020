"""The named SQL statements of ``sql/*.sql``.

A statement begins with ``-- name: its_name``; the comment lines after it say what it is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_HEADER = re.compile(r"^-- name: ([a-z_]+)\n((?:-- .+\n)+)", re.MULTILINE)


class StatementError(Exception):
    """A file of named statements cannot be read as such."""


def parse_statements(text: str, source: str) -> dict[str, str]:
    """Split one file into its statements by name.

    Raises StatementError for text before the first header, a name without a purpose line or a
    statement, and a name used twice.
    """
    headers = list(_HEADER.finditer(text))
    if text.count("-- name:") != len(headers) or (text.strip() and not headers):
        raise StatementError(f"{source}: every statement needs '-- name: x' and a purpose line")
    if headers and text[: headers[0].start()].strip():
        raise StatementError(f"{source}: text before the first statement")
    statements: dict[str, str] = {}
    ends = [header.start() for header in headers[1:]] + [len(text)]
    for header, end in zip(headers, ends, strict=True):
        name, body = header[1], text[header.end() : end].strip().rstrip(";")
        if not body or name in statements:
            raise StatementError(f"{source}: {name} is empty or there twice")
        statements[name] = body
    return statements


@cache
def statements() -> Mapping[str, str]:
    """All statements of the package by name. Raises StatementError."""
    found: dict[str, str] = {}
    for file in sorted(files(__package__).joinpath("sql").iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".sql"):
            continue
        new = parse_statements(file.read_text(encoding="utf-8"), file.name)
        if twice := found.keys() & new.keys():
            raise StatementError(f"{file.name}: {sorted(twice)} are in another file too")
        found |= new
    return MappingProxyType(found)
