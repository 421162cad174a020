"""Finding a recording in the audio store without ever leaving it."""

from __future__ import annotations

from pathlib import Path


def find_audio(audio_dir: Path, stored: str) -> Path | None:
    """The WAV file at ``stored``, a path below ``audio_dir``, if it is there.

    The path comes from an evaluator and the file from a stranger's model: neither ``..`` nor a
    symbolic link leads out of the store.
    """
    root = audio_dir.resolve()
    path = (root / stored).resolve()
    inside = path.is_relative_to(root) and path.suffix == ".wav"
    return path if inside and path.is_file() else None
