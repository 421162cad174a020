"""What identifies a recogniser."""

from __future__ import annotations

from pathlib import Path

from scoring.asr.weights import REHEARSAL_BYTES, files_digest, is_rehearsal, model_files


def test_the_digest_covers_names_and_contents(tmp_path: Path) -> None:
    def digest(**files: str) -> str:
        directory = tmp_path / str(len(list(tmp_path.iterdir())))
        directory.mkdir()
        for name, content in files.items():
            (directory / name).write_text(content)
        return files_digest(model_files(directory))

    same = [digest(a="1", b="2"), digest(b="2", a="1")]
    others = [digest(a="1", b="3"), digest(a="1", c="2"), digest(a="12", b=""), digest(a="1")]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 5


def test_notes_of_a_cache_are_not_part_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    (tmp_path / ".lock").touch()
    (tmp_path / ".cache").mkdir()
    assert [p.name for p in model_files(tmp_path)] == ["model.bin"]


def test_small_weights_are_for_rehearsal(tmp_path: Path) -> None:
    weights = tmp_path / "model.bin"
    with weights.open("wb") as file:
        file.truncate(REHEARSAL_BYTES - 1)
        assert is_rehearsal(weights)
        file.truncate(REHEARSAL_BYTES)
        assert not is_rehearsal(weights)
