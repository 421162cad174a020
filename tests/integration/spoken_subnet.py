"""Real evaluations to look at and listen to: the packaged voice, spoken, transcribed, scored, and
recorded through the real queue as submissions of miners."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from service_helpers import new_submission

from scoring.contract import ReferenceVoice, SeededPrompts, TtsRequest, TtsResult
from scoring.tts.pipeline import evaluate
from voice_validation_api.audio_directory import DirectoryAudioStore
from voice_validation_api.database import Database
from voice_validation_api.records import SubmissionId
from voice_validation_api.result_intake import clips_of, read_protocol
from voice_validation_api.result_records import details_of, sample_of, score_of
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue

PROMPTS = 2
Voice = Literal["hibari", "hibari-noise", "hibari-wrong-text"]


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation and the directory with its clips."""

    result: TtsResult
    out: Path


def speak(voice: Voice, out: Path) -> Evaluated:
    """Let the evaluator judge a packaged voice."""
    request = TtsRequest(
        synthesiser=ReferenceVoice(name=voice),
        prompts=SeededPrompts(seed="pages", count=PROMPTS),
    )
    out.mkdir(parents=True)
    return Evaluated(evaluate(request, out, progress=lambda _done, _all: None), out)


@dataclass(frozen=True)
class Subnet:
    """A service's database and audio store, and what miners and workers do to them."""

    store: Store
    queue: SubmissionQueue
    audio: DirectoryAudioStore

    @classmethod
    def on(cls, database: Database, audio: Path) -> Subnet:
        """The subnet of a database."""
        queue = SubmissionQueue(database, worker_id="worker-a", lease=timedelta(seconds=60))
        return cls(Store(database), queue, DirectoryAudioStore(audio))

    def submit(self, block: int, **changes: object) -> SubmissionId:
        """A miner's submission waits."""
        return self.store.submit(new_submission(block, **changes)).id

    def score(self, evaluated: Evaluated) -> SubmissionId:
        """A worker takes the next submission, and this is what comes of it."""
        claim = self.queue.claim()
        assert claim is not None
        self.queue.start_running(claim)
        clips = self.audio.publish(
            claim.submission_id, claim.evaluation_id, clips_of(evaluated.out, evaluated.result)
        )
        self.queue.complete(
            claim,
            score_of(evaluated.result),
            weights_digest=secrets.token_hex(32),
            details=details_of(
                evaluated.result, read_protocol(evaluated.out, evaluated.result.protocol_digest)
            ),
            samples=[sample_of(sample, clips) for sample in evaluated.result.samples],
            log="",
        )
        return claim.submission_id

    def anchor(self, voice: Voice, evaluated: Evaluated) -> None:
        """A reference voice was scored."""
        self.queue.record_calibration("tts", voice, "9" * 64, score_of(evaluated.result))
