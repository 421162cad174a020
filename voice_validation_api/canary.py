"""A fixed model with a known score, evaluated like any submission: does this machine still measure?

A queue whose canary drifts, or cannot be scored, claims nothing, says so in the log and in the
database, and measures again every ``RETRY``. It does not exit: a supervisor would start it anew at
once and hide the trouble among restarts, and a machine that is mended, or a score that an operator
corrects, needs nobody to start it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from scoring.contract import ParlerModel, TtsResult
from voice_validation_api.canary_ledger import CanaryCheck, CanaryLedger, CanaryScore, Verdict
from voice_validation_api.evaluation import (
    Evaluated,
    EvaluationError,
    Evaluator,
    InterruptedEvaluationError,
    disk_errors,
)
from voice_validation_api.evaluation_requests import CANARY_PROMPTS, CANARY_VOICE
from voice_validation_api.persistence import persist
from voice_validation_api.result_records import score_of
from voice_validation_api.time_limits import Pace
from voice_validation_api.wakeup import Stop
from voice_validation_api.workspaces import Workspaces

RETRY: Final = timedelta(minutes=10)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CanaryState:
    """What the canary said last. ``drift`` is the difference of its score to the known one.

    ``pace`` is the base model's on this machine, where the canary is a checkpoint.
    """

    verdict: Verdict | None = None
    drift: float = 0.0
    pace: Pace | None = None


def drifted(known: CanaryScore, measured: CanaryScore, tolerance: float) -> list[str]:
    """The figures that differ by more than ``tolerance``, in words."""
    figures = [
        ("score", known.score, measured.score),
        ("WER", known.wer, measured.wer),
        ("human likeness", known.human_likeness, measured.human_likeness),
    ]
    return [
        f"{name} {found:.4f}, known {expected:.4f}"
        for name, expected, found in figures
        if abs(found - expected) > tolerance
    ]


class Canary:
    """The canary of one queue. ``clock`` gives seconds that only grow."""

    def __init__(
        self,
        ledger: CanaryLedger,
        evaluator: Evaluator,
        workspaces: Workspaces,
        *,
        interval: timedelta,
        tolerance: float,
        stop: Stop,
        clock: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._evaluator = evaluator
        self._workspaces = workspaces
        self._interval = interval
        self._tolerance = tolerance
        self._stop = stop
        self._clock = clock
        self._state = CanaryState()
        self._due = clock()

    @property
    def state(self) -> CanaryState:
        """What it said last."""
        return self._state

    def demand(self) -> None:
        """Measure before the next claim: something looked as if this machine were in trouble."""
        self._due = self._clock()

    def is_healthy(self) -> bool:
        """Measure if it is time; whether submissions may be evaluated here.

        Raises DatabaseUnavailableError after ``stop``.
        """
        if self._clock() >= self._due:
            self._measure()
        return self._state.verdict is Verdict.HEALTHY

    def _measure(self) -> None:
        before = self._state.verdict
        try:
            check = self._check()
        except InterruptedEvaluationError:
            return
        persist(partial(self._ledger.record, check), self._stop)
        self._state = replace(self._state, verdict=check.verdict)
        healthy = check.verdict is Verdict.HEALTHY
        self._due = self._clock() + (self._interval if healthy else RETRY).total_seconds()
        if not healthy:
            log.critical("the canary %s: nothing is claimed. %s", check.canary, check.detail)
        elif before is not Verdict.HEALTHY:
            log.info("the canary %s is well: score %.4f", check.canary, check.score or 0.0)

    def _check(self) -> CanaryCheck:
        request = self._evaluator.canary_request()
        worker = self._ledger.worker_id
        try:
            with disk_errors(), self._workspaces.fresh() as workspace:
                evaluated = self._evaluator.run(request, workspace, self._stop.is_set)
        except EvaluationError as error:
            kind = request.synthesiser.kind
            return CanaryCheck(worker, kind, Verdict.UNMEASURED, detail=f"{error}\n{error.log}")
        if isinstance(request.synthesiser, ParlerModel):
            pace = Pace(evaluated.seconds, len(CANARY_PROMPTS.prompts))
            self._state = replace(self._state, pace=pace)
        return self._judge(evaluated)

    def _judge(self, evaluated: Evaluated) -> CanaryCheck:
        canary, full = _name(evaluated.result), score_of(evaluated.result)
        measured = CanaryScore(full.score, full.wer, full.human_likeness)
        known = persist(lambda: self._ledger.known(canary, full.protocol, measured), self._stop)
        if known.is_new:
            log.warning(
                "the canary %s has no known score under protocol %s: trusted on first use, "
                "score %.4f, WER %.4f, human likeness %.4f",
                canary,
                full.protocol,
                *(measured.score, measured.wer, measured.human_likeness),
            )
        expected = CanaryScore(known.score, known.wer, known.human_likeness)
        problems = drifted(expected, measured, self._tolerance)
        self._state = replace(self._state, drift=measured.score - expected.score)
        return CanaryCheck(
            self._ledger.worker_id,
            canary,
            Verdict.DRIFTED if problems else Verdict.HEALTHY,
            protocol=full.protocol,
            score=full.score,
            seconds=evaluated.seconds,
            detail=f"measured by {known.measured_by} first: {'; '.join(problems)}"
            if problems
            else "",
        )


def _name(result: TtsResult) -> str:
    # By its bytes: two directories with one name may hold different checkpoints.
    digest = result.synthesiser.weights_digest if result.synthesiser is not None else None
    return f"checkpoint:{digest}" if digest is not None else CANARY_VOICE.name
