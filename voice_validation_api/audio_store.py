"""Where the clips of evaluations are kept: ``<submission>/<evaluation>/<file>`` below a directory.

Every attempt has a directory of its own, which appears whole or not at all: a worker that lost its
lease never touches the clips of the one that has it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

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
        final = self._root / str(submission) / str(evaluation)
        partial = self._root / f".partial-{evaluation}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        names = {}
        for number, (name, path) in enumerate(sorted(clips.items())):
            kept = f"{number:05d}.wav"
            shutil.copyfile(path, partial / kept, follow_symlinks=False)
            names[name] = f"{submission}/{evaluation}/{kept}"
        final.parent.mkdir(exist_ok=True)
        partial.rename(final)
        return names

    def discard(self, submission: SubmissionId, evaluation: EvaluationId) -> None:
        """Forget the clips of one attempt, if there are any."""
        shutil.rmtree(self._root / str(submission) / str(evaluation), ignore_errors=True)
