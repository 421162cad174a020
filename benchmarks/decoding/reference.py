"""parler-tts in an environment of its own, asked line by line."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SERVER = Path(__file__).parents[2] / "scripts" / "reference" / "serve_tokens.py"


class NoAnswerError(RuntimeError):
    """The reference gave no answer; its own words stand above on stderr."""


@dataclass(frozen=True)
class Timing:
    """How long a side took, in seconds of wall clock and of CPU, and the columns it chose for
    each prompt."""

    seconds: float
    cpu_seconds: float
    columns: tuple[int, ...]


class Reference:
    """A running reference; use it as a context."""

    def __init__(self, python: Path, model_dir: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(_SERVER), str(model_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self._answer()
        self.threads = int(ready["threads"])
        self.versions: dict[str, str] = ready["versions"]

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def generate(self, prompts: list[str], description: str) -> Timing:
        """Speak the prompts as one batch, greedily."""
        assert self._process.stdin is not None
        request = {"prompts": prompts, "description": description}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._answer()
        return Timing(answer["seconds"], answer["cpu_seconds"], tuple(answer["columns"]))

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NoAnswerError(f"parler-tts ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer
