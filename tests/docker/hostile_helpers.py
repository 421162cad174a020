"""Evaluations by the hostile image, through the launcher and the intake that a worker uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from scoring.contract import (
    Aggregate,
    AsrInfo,
    Failure,
    FailureCode,
    Interval,
    ParlerModel,
    Prompt,
    Sample,
    SeededPrompts,
    SynthesiserInfo,
    TtsRequest,
    TtsResult,
    WordErrors,
)
from voice_validation_api.evaluation import Evaluated, EvaluationError, Evaluator
from voice_validation_api.launchers.docker import DockerLauncher
from voice_validation_api.launchers.docker_limits import UID
from voice_validation_api.settings import WorkerSettings

WALL_SECONDS = 30.0


def never() -> bool:
    return False


class Arena:
    """Runs attacks. ``model`` is the directory that the attack sees as its model."""

    def __init__(self, image: str, path: Path) -> None:
        self.launcher = DockerLauncher(image)
        self.path = path
        self.model = path / "model"
        self.model.mkdir()

    def evaluate(
        self,
        attack: str,
        payload: bytes = b"",
        *,
        wall_seconds: float = WALL_SECONDS,
        memory_bytes: int = 2**28,
        interrupted: Callable[[], bool] = never,
    ) -> Evaluated:
        """Let ``attack`` evaluate. Raises what ``Evaluator.run`` raises."""
        (self.model / "result.json").write_bytes(payload)
        settings = WorkerSettings(
            _env_file=None,
            prompt_count=1,
            max_seconds=1.0,
            memory_bytes=memory_bytes,
            wall_seconds=wall_seconds,
        )
        evaluator = Evaluator(settings, self.launcher, gpu=None, threads=1)
        workspace = self.path / "workspace"
        workspace.mkdir()
        return evaluator.run(request(attack, self.model), workspace, interrupted)

    def fail(self, attack: str, payload: bytes = b"", **how: Any) -> EvaluationError:
        """The error that ``attack`` ends with."""
        try:
            evaluated = self.evaluate(attack, payload, **how)
        except EvaluationError as error:
            return error
        raise AssertionError(f"{attack} was accepted: {evaluated}")


def request(attack: str, model: Path) -> TtsRequest:
    """An evaluation of ``model``; the hostile image reads the attack from its seed."""
    return TtsRequest(
        synthesiser=ParlerModel(model_dir=model), prompts=SeededPrompts(seed=attack, count=1)
    )


def facts(log: str) -> dict[str, Any]:
    """What an attack found out and printed last."""
    lines = [line for line in log.splitlines() if line.startswith("{")]
    assert lines, f"the attack said nothing of itself:\n{log[-2000:]}"
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def processes_of_attacks() -> Iterator[int]:
    """Processes of this machine that an attack started, by number."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            ours = entry.name.isdecimal() and entry.stat().st_uid == UID
            if ours and b"attack.py" in (entry / "cmdline").read_bytes():
                yield int(entry.name)


def failed_result() -> TtsResult:
    """An honest evaluator's answer to a model that it cannot run."""
    failure = Failure(code=FailureCode.TENSOR_NOT_FINITE, message="lm_heads.0 holds NaN")
    return TtsResult(status="FAILED", failure=failure)


def completed_result() -> TtsResult:
    """An honest evaluator's answer: one prompt, one word, understood."""
    prompt = Prompt(index=0, text="Hello.", description="A calm voice.")
    errors = WordErrors(substitutions=0, deletions=0, insertions=0, words=1)
    sample = Sample(
        prompt=prompt,
        outcome="scored",
        transcript="hello",
        errors=errors,
        wer=0.0,
        human_likeness=0.5,
        score=0.5,
        seconds=1.0,
    )
    return TtsResult(
        status="COMPLETED",
        synthesiser=SynthesiserInfo(kind="parler", name="model", weights_digest="ab" * 32),
        asr=AsrInfo(engine="e", model="m", version="1", digest="cd" * 32, rehearsal=True),
        prompts_digest="ef" * 32,
        protocol_digest="01" * 32,
        aggregate=Aggregate(
            score=0.5,
            interval=Interval(low=0.4, high=0.6),
            wer=0.0,
            human_likeness=0.5,
            scored=1,
            unscored=0,
        ),
        samples=(sample,),
    )
