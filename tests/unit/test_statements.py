"""The named SQL statements: how files are read, and that those of the package are sound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import voice_validation_api
from voice_validation_api.statements import StatementError, parse_statements, statements


def test_a_file_is_split_into_its_statements() -> None:
    text = "-- name: one\n-- First.\nSELECT 1;\n\n-- name: two\n-- Second,\n-- twice.\nSELECT\n2;\n"
    assert parse_statements(text, "x.sql") == {"one": "SELECT 1", "two": "SELECT\n2"}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;",
        "-- name: no_purpose\nSELECT 1;",
        "SELECT 0;\n-- name: late\n-- Purpose.\nSELECT 1;",
        "-- name: empty\n-- Purpose.\n",
        "-- name: twice\n-- A.\nSELECT 1;\n-- name: twice\n-- B.\nSELECT 2;",
    ],
)
def test_a_malformed_file_is_refused(text: str) -> None:
    with pytest.raises(StatementError, match=r"x\.sql"):
        parse_statements(text, "x.sql")


def test_every_statement_is_used_and_every_used_one_exists() -> None:
    package = Path(voice_validation_api.__file__).parent
    code = "\n".join(path.read_text() for path in package.rglob("*.py"))
    unused = [name for name in statements() if f'"{name}"' not in code]
    assert unused == []


def test_parameters_are_bound_and_never_pasted() -> None:
    for name, sql in statements().items():
        without = re.sub(r"%\([a-z_]+\)s|VALUES %s", "", sql)
        assert "%" not in without, f"{name} holds a placeholder of another kind"
