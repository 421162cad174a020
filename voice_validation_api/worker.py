"""One queue of a worker: claim, evaluate, record; over and over.

A database that goes away in mid-flight stops nothing: the evaluation goes on, and what there is to
write is written when the database is back, unless the lease is lost by then.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from utilities.hub import Hub
from utilities.logs import log_context
from voice_validation_api.audio_base import AudioStore
from voice_validation_api.calibration import Calibration
from voice_validation_api.canary import Canary
from voice_validation_api.canary_ledger import Verdict
from voice_validation_api.database import DatabaseUnavailableError, RefusedByDatabaseError
from voice_validation_api.disk_watch import DiskWatch
from voice_validation_api.evaluation import (
    EvaluationError,
    Evaluator,
    InterruptedEvaluationError,
    disk_errors,
)
from voice_validation_api.failures import ServiceCode
from voice_validation_api.lease_keeper import kept_lease
from voice_validation_api.metrics_worker import WorkerMetrics
from voice_validation_api.model_cache import ModelCache
from voice_validation_api.model_download import held_model
from voice_validation_api.persistence import Backoff, persist
from voice_validation_api.records import Claim
from voice_validation_api.result_intake import clips_of
from voice_validation_api.result_records import details_of, sample_of, score_of
from voice_validation_api.settings import WorkerSettings
from voice_validation_api.submission_queue import LeaseLostError, SubmissionQueue
from voice_validation_api.time_limits import wall_limit
from voice_validation_api.wakeup import Stop, Wakeup
from voice_validation_api.workspaces import Workspaces

PAUSE_REASONS = ("disk", "canary")
Settlement = Callable[[], object]
"""A repeatable write that ends an attempt."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stops:
    """``soon``: claim nothing more. ``now``: hand back what is being evaluated."""

    soon: Stop
    now: Stop


@dataclass(frozen=True)
class Worker:
    """Claims and evaluates one submission at a time until told to stop."""

    settings: WorkerSettings
    queue: SubmissionQueue
    wakeup: Wakeup
    hub: Hub
    models: ModelCache
    disk: DiskWatch
    evaluator: Evaluator
    audio: AudioStore
    workspaces: Workspaces
    stops: Stops
    calibration: Calibration | None
    canary: Canary | None
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)

    def run(self) -> None:
        """Work until stopped, or with ``drain`` until nothing is left to do."""
        backoff = Backoff()
        while not self.stops.soon.is_set():
            try:
                worked = self._turn()
            except DatabaseUnavailableError as error:
                pause = backoff.next()
                log.warning("%s; claiming again in %.1f s", error, pause)
                self.stops.soon.wait(pause)
                continue
            backoff = Backoff()
            if not worked and self.settings.drain:
                break
            if not worked:
                self.wakeup.wait(self.settings.poll)
        self.wakeup.close()
        self._leave()

    @property
    def pause_reason(self) -> str | None:
        """Why nothing is claimed, one of ``PAUSE_REASONS``; None when it would be."""
        if self.disk.state.is_full:
            return "disk"
        return "canary" if self._is_ill else None

    @property
    def canary_verdict(self) -> Verdict | None:
        """What the canary said last; None without one."""
        return self.canary.state.verdict if self.canary is not None else None

    @property
    def _is_ill(self) -> bool:
        return self.canary_verdict not in {None, Verdict.HEALTHY}

    def _leave(self) -> None:
        try:
            self.queue.leave()
        except DatabaseUnavailableError as error:
            # It is forgotten by itself when it is not heard of any more.
            log.warning("not told that this worker ends: %s", error)

    def _turn(self) -> bool:
        """Do one piece of work; False when there is none."""
        # Listen before looking: what is queued after the look ends the wait.
        self.wakeup.listen()
        if recovered := self.queue.recover_expired():
            log.warning("took back %d submissions of lost workers", recovered)
        may_claim = self._may_claim()
        self.queue.appear(ill=self._is_ill)
        if not may_claim:
            return False
        claim = self.queue.claim()
        if claim is not None:
            self._work_on(claim)
            return True
        return self.calibration is not None and self.calibration.step()

    def _may_claim(self) -> bool:
        return self.disk.has_room() and (self.canary is None or self.canary.is_healthy())

    def _work_on(self, claim: Claim) -> None:
        with (
            self.metrics.active.track_inprogress(),
            log_context(submission=claim.submission_id, evaluation=claim.evaluation_id),
            kept_lease(self.queue, claim, self.settings.lease) as lease,
        ):
            log.info("claimed %s@%s", claim.repo_id, claim.revision)
            try:
                settlement = self._attempt(
                    claim, lambda: lease.is_lost() or self.stops.now.is_set()
                )
                self._settle(claim, settlement)
            except LeaseLostError as error:
                self.audio.discard(claim.submission_id, claim.evaluation_id)
                log.warning("nothing is written: %s", error)
            except DatabaseUnavailableError as error:
                log.warning("left until its lease runs out: %s", error)

    def _attempt(self, claim: Claim, interrupted: Callable[[], bool]) -> Settlement:
        """Evaluate, and return what is to be written about it."""
        try:
            with self.workspaces.fresh() as workspace:
                return self._evaluate(claim, workspace, interrupted)
        except (LeaseLostError, DatabaseUnavailableError):
            raise
        except InterruptedEvaluationError as interruption:
            log.info("interrupted")
            return partial(self.queue.hand_back, claim, log=interruption.log)
        except EvaluationError as error:
            log.warning("%s", error)
            if error.code is ServiceCode.TIME_LIMIT and self.canary is not None:
                # A slow model or a slow machine? Nothing more is claimed before that is known.
                self.canary.demand()
            return partial(
                self.queue.fail,
                claim,
                error.code,
                public=error.public,
                detail=error.detail,
                log=error.log,
            )
        except Exception:  # the outermost: a bug of ours must not end the worker
            log.exception("unexpected error")
            return self._our_error(claim, traceback.format_exc())

    def _evaluate(
        self, claim: Claim, workspace: Path, interrupted: Callable[[], bool]
    ) -> Settlement:
        seed = claim.prompt_seed or self.settings.prompt_seed
        with ExitStack() as holding:
            with self.metrics.stage("download"):
                model_dir = holding.enter_context(
                    held_model(
                        self.hub,
                        self.models,
                        claim.repo_id,
                        claim.revision,
                        max_bytes=self.settings.max_repository_bytes,
                        interrupted=interrupted,
                    )
                )
            persist(partial(self.queue.start_running, claim), self.stops.now)
            request = self.evaluator.model_request(model_dir, claim.revision, seed=seed)
            with self.metrics.stage("evaluate"):
                evaluated = self.evaluator.run(
                    request, workspace, interrupted, wall_seconds=self._wall_seconds()
                )
        result, score = evaluated.result, score_of(evaluated.result)
        log.info("score=%.4f wer=%.4f", score.score, score.wer)
        with disk_errors():
            clips = clips_of(workspace / "out", result)
            kept = self.audio.publish(claim.submission_id, claim.evaluation_id, clips)
        if self.calibration is not None:
            self.calibration.expect(score.protocol, seed=seed)
        assert result.synthesiser is not None
        return partial(
            self.queue.complete,
            claim,
            score,
            weights_digest=result.synthesiser.weights_digest,
            details=details_of(result, evaluated.protocol),
            samples=[sample_of(sample, kept) for sample in result.samples],
            log=evaluated.log,
        )

    def _wall_seconds(self) -> float:
        settings = self.settings
        return wall_limit(
            self.canary.state.pace if self.canary is not None else None,
            settings.prompt_count,
            factor=settings.wall_factor,
            floor_seconds=settings.wall_floor_seconds,
            cap_seconds=settings.wall_seconds,
        )

    def _settle(self, claim: Claim, settlement: Settlement) -> None:
        try:
            persist(settlement, self.stops.now)
        except RefusedByDatabaseError as error:
            log.exception("the database refuses the outcome")
            persist(self._our_error(claim, str(error)), self.stops.now)

    def _our_error(self, claim: Claim, detail: str) -> Settlement:
        code = ServiceCode.WORKER_ERROR
        return partial(self.queue.fail, claim, code, public="", detail=detail)
