"""A worker on a real queue and a real hub, with small programs in the evaluator's place."""

from __future__ import annotations

import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub_helpers import RunningHub, parler_files
from service_helpers import new_submission

from utilities.hub import Hub
from voice_validation_api.audio_directory import DirectoryAudioStore
from voice_validation_api.calibration import Calibration
from voice_validation_api.canary import Canary
from voice_validation_api.canary_ledger import CanaryLedger
from voice_validation_api.database import Database
from voice_validation_api.disk_watch import DiskWatch
from voice_validation_api.evaluation import Evaluator
from voice_validation_api.launchers.process import ProcessLauncher
from voice_validation_api.model_cache import ModelCache
from voice_validation_api.records import Submission
from voice_validation_api.settings import WorkerSettings
from voice_validation_api.store import Store
from voice_validation_api.submission_queue import SubmissionQueue
from voice_validation_api.wakeup import Stop, Wakeup
from voice_validation_api.worker import Stops, Worker
from voice_validation_api.workspaces import worker_workspaces

HEAD = """
import hashlib, json, os, pathlib, sys, time
request = json.loads(pathlib.Path(sys.argv[sys.argv.index("--request") + 1]).read_text())
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
errors = {"substitutions": 1, "deletions": 0, "insertions": 0, "words": 4}
prompts = request["prompts"].get("prompts") or [
    {"index": n, "text": "Good morning to you.", "description": "A calm voice."}
    for n in range(request["prompts"]["count"])
]
samples = [
    {"prompt": prompt, "outcome": "scored", "audio": f"audio/{prompt['index']:05d}.wav",
     "seconds": 1.0, "transcript": "good",
     "errors": errors, "wer": 0.25, "human_likeness": 0.5, "score": 0.375}
    for prompt in prompts
]
def digest_of(name):
    seed = request["prompts"].get("seed", "open")
    return name * 64 if seed == "open" else hashlib.sha256((name + seed).encode()).hexdigest()
result = {
    "status": "COMPLETED", "samples": samples, "prompts_digest": digest_of("b"),
    "protocol_digest": digest_of("c"),
    "synthesiser": {"kind": "parler", "name": "model", "weights_digest": "d" * 64},
    "asr": {"engine": "faster-whisper", "model": "packaged", "version": "1", "digest": "a" * 64,
            "rehearsal": True},
    "aggregate": {"score": 0.375, "interval": {"low": 0.3, "high": 0.4}, "wer": 0.25,
                  "human_likeness": 0.5, "scored": len(samples), "unscored": 0},
}
def answer():
    (out / "audio").mkdir()
    for sample in samples:
        (out / sample["audio"]).write_bytes(b"RIFF")
    (out / "result.json").write_text(json.dumps(result))
"""
SCORES = "print('progress 2/2'); answer()"
SLEEPS = "pathlib.Path({mark!r}).touch(); time.sleep(600)"


def wait_for_go(mark: Path) -> str:
    """A program that makes ``mark``, and scores once there is a file ``mark``-go."""
    return f"""
        pathlib.Path({str(mark)!r}).touch()
        while not os.path.exists({str(mark) + "-go"!r}): time.sleep(0.01)
        answer()
    """


@dataclass
class Bench:
    """Everything that a worker needs, and the means to watch it."""

    dsn: str
    database: Database
    store: Store
    hub: RunningHub
    path: Path
    free_bytes: int = 10**12
    now: float = 0.0
    stops: Stops = field(default_factory=lambda: Stops(soon=Stop(), now=Stop()))

    @property
    def mark(self) -> Path:
        """A file that a program makes when it has begun."""
        return self.path / "mark"

    @property
    def audio(self) -> Path:
        return self.path / "var" / "audio"

    def publish(self, name: str) -> str:
        return self.hub.publish(name, parler_files())

    def submit(self, name: str, revision: str | None = None, block: int = 100) -> Submission:
        """Submit alice's repository ``name``, published first unless a revision is given."""
        revision = revision or self.publish(name)
        return self.store.submit(new_submission(block, name=name, revision=revision))

    def current(self, submission: Submission) -> Submission:
        found = self.store.get(submission.id)
        assert found is not None
        return found

    @contextmanager
    def worker(self, program: str, **changes: Any) -> Iterator[Worker]:
        script = self.path / "evaluator.py"
        script.write_text(HEAD + textwrap.dedent(program))
        settings = WorkerSettings(
            **{
                "drain": True,
                "canary": False,
                "prompt_count": 2,
                "hub_endpoint": self.hub.url,
                **changes,
            }
        )
        queue = SubmissionQueue(self.database, worker_id="worker", lease=settings.lease)
        evaluator = Evaluator(
            settings, ProcessLauncher([sys.executable, str(script)]), gpu=None, threads=1
        )
        audio = DirectoryAudioStore(self.audio)
        models = ModelCache(
            self.path / "var" / "models",
            max_bytes=settings.cache_bytes,
            min_free_bytes=settings.min_free_bytes,
        )
        with worker_workspaces(self.path / "var" / "work") as workspaces:
            yield Worker(
                settings=settings,
                queue=queue,
                wakeup=Wakeup(self.dsn, self.stops.soon),
                hub=Hub(endpoint=settings.hub_endpoint),
                models=models,
                disk=DiskWatch(
                    low_bytes=settings.min_free_bytes,
                    free=lambda: self.free_bytes,
                    evict=models.evict,
                ),
                evaluator=evaluator,
                audio=audio,
                workspaces=workspaces,
                stops=self.stops,
                calibration=Calibration(
                    queue,
                    evaluator,
                    audio,
                    workspaces,
                    self.stops.soon,
                    seed=settings.prompt_seed,
                )
                if settings.calibration
                else None,
                canary=Canary(
                    CanaryLedger(self.database, worker_id="worker"),
                    evaluator,
                    workspaces,
                    interval=settings.canary_interval,
                    tolerance=settings.canary_tolerance,
                    stop=self.stops.soon,
                    clock=lambda: self.now,
                )
                if settings.canary
                else None,
            )

    def work(self, program: str, **changes: Any) -> None:
        """Run a worker until the queue is empty."""
        with self.worker(program, **{"calibration": False, **changes}) as worker:
            worker.run()

    @contextmanager
    def working(self, program: str, **changes: Any) -> Iterator[threading.Thread]:
        """Run a worker in a thread; at the end it must have stopped by itself."""
        with self.worker(program, **{"calibration": False, **changes}) as worker:
            thread = threading.Thread(target=worker.run, daemon=True)
            thread.start()
            try:
                yield thread
                thread.join(30)
                assert not thread.is_alive(), "the worker does not stop"
            finally:
                self.stops.soon.set()
                self.stops.now.set()
                thread.join(30)
