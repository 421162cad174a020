"""Files that are replaced whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from utilities.files import replace_file


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.json"
    replace_file(path, "first")
    replace_file(path, "second, é")
    assert path.read_text(encoding="utf-8") == "second, é"
    assert list(path.parent.iterdir()) == [path]


def test_what_was_there_survives_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    replace_file(path, "first")
    (tmp_path / "state.json.partial").mkdir()
    with pytest.raises(OSError, match="partial"):
        replace_file(path, "second")
    assert path.read_text() == "first"
