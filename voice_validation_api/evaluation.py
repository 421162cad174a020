"""One evaluation in the hands of a worker: launch it, take the result in.

It knows nothing of queue or database. Whatever goes wrong is an ``EvaluationError`` with the code
that says whose fault it is.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scoring.contract import ParlerModel, ReferenceVoice, TtsRequest, TtsResult
from voice_validation_api.evaluation_requests import (
    COMPETITION,
    canary_request,
    model_request,
    voice_request,
)
from voice_validation_api.failures import AnyCode, ServiceCode
from voice_validation_api.launchers.base import Ending, Job, Launcher, Limits, Outcome
from voice_validation_api.result_intake import (
    InvalidResultError,
    MissingResultError,
    read_protocol,
    read_result,
)
from voice_validation_api.settings import WorkerSettings

_AUDIO_BYTES_PER_SECOND = 48_000 * 4
_OTHER_OUTPUT_BYTES = 256 << 20
"""For the result and the caches of libraries."""


class EvaluationError(Exception):
    """An evaluation without a score. ``public`` is fit for the miner, ``detail`` the operator's."""

    def __init__(self, code: AnyCode, public: str, *, detail: str = "", log: str = "") -> None:
        super().__init__(f"{code.name}: {detail or public}")
        self.code = code
        self.public = public
        self.detail = detail or public
        self.log = log


class InterruptedEvaluationError(Exception):
    """The worker asked for the end, before there was a result."""

    def __init__(self, log: str = "") -> None:
        super().__init__("interrupted")
        self.log = log


@dataclass(frozen=True)
class Evaluated:
    """A result that was checked, the end of what the evaluator printed, and the time it took.

    ``protocol`` is what the result's protocol consists of, where the evaluator left it.
    """

    result: TtsResult
    log: str
    seconds: float
    protocol: str | None


class Evaluator:
    """Runs requests through a launcher, on one GPU or none and ``threads`` processor threads."""

    def __init__(
        self, settings: WorkerSettings, launcher: Launcher, *, gpu: int | None, threads: int
    ) -> None:
        self._settings = settings
        self._launcher = launcher
        self._gpu = gpu
        self._threads = threads
        audio_bytes = settings.prompt_count * settings.max_seconds * _AUDIO_BYTES_PER_SECOND
        self._limits = Limits(
            wall_seconds=settings.wall_seconds,
            output_bytes=int(audio_bytes) + _OTHER_OUTPUT_BYTES,
            memory_bytes=settings.memory_bytes,
        )

    def model_request(self, model_dir: Path, revision: str, *, seed: str) -> TtsRequest:
        """The request that evaluates the checkpoint in ``model_dir``, which holds ``revision``.

        ``seed`` names the prompts.
        """
        return model_request(self._settings, model_dir, revision, seed=seed, gpu=self._gpu)

    def voice_request(self, voice: ReferenceVoice, *, seed: str) -> TtsRequest:
        """The request that evaluates a reference voice on the same work."""
        return voice_request(self._settings, voice, seed=seed, gpu=self._gpu)

    def canary_request(self) -> TtsRequest:
        """The request that evaluates the canary, which never changes."""
        return canary_request(self._settings, gpu=self._gpu)

    def run(
        self,
        request: TtsRequest,
        workspace: Path,
        interrupted: Callable[[], bool],
        *,
        wall_seconds: float | None = None,
    ) -> Evaluated:
        """Run the evaluator in ``workspace`` and read its result.

        ``wall_seconds`` replaces the limit of the settings.
        Raises EvaluationError and InterruptedEvaluationError.
        """
        limits = self._limits
        if wall_seconds is not None:
            limits = replace(limits, wall_seconds=wall_seconds)
        job = Job(COMPETITION, request, workspace, limits, self._gpu, self._threads)
        with disk_errors():
            outcome = self._launcher.run(job, interrupted)
        return _read(job, outcome)


def _read(job: Job, outcome: Outcome) -> Evaluated:
    if outcome.ending is Ending.INTERRUPTED:
        raise InterruptedEvaluationError(outcome.log)
    if outcome.ending is Ending.TIME_LIMIT:
        raise _ours(ServiceCode.TIME_LIMIT, f"no result in {outcome.seconds:.0f} s", outcome)
    if outcome.ending is Ending.OUTPUT_LIMIT:
        limit = job.limits.output_bytes
        raise _ours(ServiceCode.OUTPUT_LIMIT, f"more than {limit} bytes were written", outcome)
    try:
        with disk_errors():
            result = read_result(job.out, job.request)
            completed = result.failure is None
            protocol = read_protocol(job.out, result.protocol_digest) if completed else None
    except MissingResultError as error:
        raise _ours(ServiceCode.NO_RESULT, f"exit code {outcome.exit_code}", outcome) from error
    except InvalidResultError as error:
        raise _ours(ServiceCode.RESULT_INVALID, str(error), outcome) from error
    if result.failure is not None:
        failure = result.failure
        # Paths of this machine are nobody else's business.
        public = _without_places(f"{failure.message} {failure.remedy}".strip(), job)
        raise EvaluationError(failure.code, public, detail=failure.message, log=outcome.log)
    if outcome.exit_code != 0:
        detail = f"a score, and yet exit code {outcome.exit_code}"
        raise _ours(ServiceCode.RESULT_INVALID, detail, outcome)
    return Evaluated(result, outcome.log, outcome.seconds, protocol)


def _without_places(text: str, job: Job) -> str:
    places = [job.workspace]
    if isinstance(job.request.synthesiser, ParlerModel):
        places.append(job.request.synthesiser.model_dir.parent)
    for place in places:
        text = text.replace(f"{place}/", "")
    return text


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the local disk refuses into an EvaluationError of ours."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        code = ServiceCode.WORKER_DISK_FULL if full else ServiceCode.WORKER_ERROR
        raise EvaluationError(code, "", detail=str(error)) from error


def _ours(code: ServiceCode, detail: str, outcome: Outcome) -> EvaluationError:
    return EvaluationError(code, "", detail=detail, log=outcome.log)
