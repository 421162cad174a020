"""Scores the reference voices, which show on the leaderboard what the numbers mean."""

from __future__ import annotations

import logging
from functools import partial

from scoring.contract import ReferenceVoice, TtsRequest
from voice_validation_api.audio_base import AudioStore
from voice_validation_api.evaluation import (
    EvaluationError,
    Evaluator,
    InterruptedEvaluationError,
    disk_errors,
)
from voice_validation_api.evaluation_requests import (
    COMPETITION,
    VOICES,
    request_digest,
)
from voice_validation_api.persistence import persist
from voice_validation_api.result_intake import clips_of
from voice_validation_api.result_records import score_of
from voice_validation_api.submission_queue import SubmissionQueue
from voice_validation_api.wakeup import Stop
from voice_validation_api.workspaces import Workspaces

log = logging.getLogger(__name__)


class Calibration:
    """Evaluates each voice once for the work that submissions are given, until ``stop``.

    ``seed`` names the prompts of that work until a submission is given others.
    """

    def __init__(
        self,
        queue: SubmissionQueue,
        evaluator: Evaluator,
        audio: AudioStore,
        workspaces: Workspaces,
        stop: Stop,
        *,
        seed: str,
    ) -> None:
        self._queue = queue
        self._evaluator = evaluator
        self._audio = audio
        self._workspaces = workspaces
        self._stop = stop
        self._voices = list(VOICES)
        self._protocol: str | None = None
        self._seed = seed

    def expect(self, protocol: str, *, seed: str) -> None:
        """Submissions are scored under ``protocol``: no other anchor may stand beside them."""
        if protocol != self._protocol:
            self._protocol, self._seed = protocol, seed
            self._voices = list(VOICES)

    def step(self) -> bool:
        """Score the next voice that has no score yet; False when there is none.

        A voice that cannot be scored is left out until the next start: the leaderboard lacks an
        anchor, and nobody's score depends on it. Raises DatabaseUnavailableError.
        """
        while self._voices:
            request = self._evaluator.voice_request(self._voices[0], seed=self._seed)
            digest = request_digest(request)
            known = self._queue.calibrated_voices(COMPETITION, digest)
            voice = self._voices.pop(0)
            if not self._serves(known.get(voice.name)):
                self._score(voice, request, digest)
                return True
        return False

    def _serves(self, protocol: str | None) -> bool:
        return protocol is not None and self._protocol in {None, protocol}

    def _score(self, voice: ReferenceVoice, request: TtsRequest, digest: str) -> None:
        try:
            with self._workspaces.fresh() as workspace:
                evaluated = self._evaluator.run(request, workspace, self._stop.is_set)
                with disk_errors():
                    clips = clips_of(workspace / "out", evaluated.result)
                    self._audio.publish_voice(voice.name, digest, clips)
        except InterruptedEvaluationError:
            return
        except EvaluationError as error:
            log.error("calibration voice=%s %s\n%s", voice.name, error, error.log)  # noqa: TRY400
            return
        score = score_of(evaluated.result)
        record = partial(self._queue.record_calibration, COMPETITION, voice.name, digest, score)
        persist(record, self._stop)
        log.info("calibration voice=%s score=%.4f wer=%.4f", voice.name, score.score, score.wer)
