"""The audio store in a directory. An attempt appears whole or not at all, by a rename."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from voice_validation_api.audio_base import (
    Clip,
    StoredAttempt,
    attempt_at,
    place_of,
    place_of_voice,
    stored_names,
)
from voice_validation_api.records import EvaluationId, SubmissionId


class DirectoryAudioStore:
    """See ``AudioStore``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def check(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._root, prefix=".check-"):
            pass

    def publish(
        self, submission: SubmissionId, evaluation: EvaluationId, clips: Mapping[str, Path]
    ) -> dict[str, str]:
        return self._keep(place_of(submission, evaluation), clips)

    def publish_voice(self, voice: str, request_digest: str, clips: Mapping[str, Path]) -> None:
        self._keep(place_of_voice(voice, request_digest), clips)

    def find(self, stored: str) -> Clip | None:
        root = self._root.resolve()
        # Neither .. nor a symbolic link leads out of it.
        path = (root / stored).resolve()
        inside = path.is_relative_to(root) and path.suffix == ".wav"
        if not inside or not path.is_file():
            return None
        return Clip(path.stat().st_size, lambda start, stop: _read(path, start, stop))

    def discard(self, submission: SubmissionId, evaluation: EvaluationId) -> None:
        shutil.rmtree(self._root / place_of(submission, evaluation), ignore_errors=True)

    def attempts(self) -> Iterator[StoredAttempt]:
        for folder in self._root.glob("*/*"):
            if folder.is_dir():
                size = sum(file.stat().st_size for file in folder.iterdir())
                if (attempt := attempt_at(folder.parent.name, folder.name, size)) is not None:
                    yield attempt

    def _keep(self, where: PurePosixPath, clips: Mapping[str, Path]) -> dict[str, str]:
        final = self._root / where
        partial = self._root / f".partial-{'-'.join(where.parts)}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        names = stored_names(where, clips)
        for name, stored in names.items():
            kept = partial / PurePosixPath(stored).name
            shutil.copyfile(clips[name], kept, follow_symlinks=False)
        final.parent.mkdir(parents=True, exist_ok=True)
        # Only calibration can find an earlier one there: of a worker that died before it recorded.
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        return names


def _read(path: Path, start: int, stop: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)
