"""Where the clips of evaluations are kept: ``<submission>/<evaluation>/<file>`` below a directory,
and those of reference voices in ``calibration/<voice>/<request digest>/<file>``.

Every attempt has a directory of its own, which appears whole or not at all: a worker that lost its
lease never touches the clips of the one that has it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from voice_validation_api.records import EvaluationId, SubmissionId


class AudioStore:
    """Clips below ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(
        self, submission: SubmissionId, evaluation: EvaluationId, clips: Mapping[str, Path]
    ) -> dict[str, str]:
        """Keep ``clips``, checked files by name; returns each one's path below the root.

        They are copied, so that nothing of the evaluator's, such as a link, gets in.
        Raises OSError.
        """
        return self._keep(PurePosixPath(str(submission), str(evaluation)), clips)

    def publish_voice(self, voice: str, request_digest: str, clips: Mapping[str, Path]) -> None:
        """Keep the clips of a reference voice on the work that ``request_digest`` names.

        They lie in ``calibration/<voice>/<request digest>``. Raises OSError.
        """
        self._keep(PurePosixPath("calibration", voice, request_digest), clips)

    def find(self, stored: str) -> Path | None:
        """The WAV file at ``stored``, a path below the root, if it is there.

        Neither ``..`` nor a symbolic link leads out of the store.
        """
        root = self._root.resolve()
        path = (root / stored).resolve()
        inside = path.is_relative_to(root) and path.suffix == ".wav"
        return path if inside and path.is_file() else None

    def discard(self, submission: SubmissionId, evaluation: EvaluationId) -> None:
        """Forget the clips of one attempt, if there are any."""
        shutil.rmtree(self._root / str(submission) / str(evaluation), ignore_errors=True)

    def _keep(self, where: PurePosixPath, clips: Mapping[str, Path]) -> dict[str, str]:
        final = self._root / where
        partial = self._root / f".partial-{'-'.join(where.parts)}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        names = {}
        for number, (name, path) in enumerate(sorted(clips.items())):
            kept = f"{number:05d}.wav"
            shutil.copyfile(path, partial / kept, follow_symlinks=False)
            names[name] = f"{where}/{kept}"
        final.parent.mkdir(parents=True, exist_ok=True)
        # Only calibration can find an earlier one there: of a worker that died before it recorded.
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        return names
