"""Scores many pieces of audio on several cores."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from scoring.asr.base import Recogniser
from scoring.asr.load import load_recogniser
from scoring.asr.perturb import perturb
from scoring.audio import Audio
from scoring.contract import AsrSpec
from scoring.errors import UnscorableAudioError
from scoring.metrics.human_likeness import HumanLikeness
from scoring.metrics.preparation import SAMPLE_RATE
from scoring.metrics.wer import sample_wer, word_errors
from scoring.tts.total import sample_score


@dataclass(frozen=True)
class Task:
    """Samples at 16 kHz; ``transcribe`` where the words matter too."""

    samples: NDArray[np.float32]
    transcribe: bool = False


@dataclass(frozen=True)
class Verdict:
    """Human likeness and all that it is made of; the transcript where it was asked for."""

    likeness: float
    details: dict[str, float]
    transcript: str

    def wer(self, text: str) -> float:
        """Raw word error rate against ``text``."""
        return sample_wer(word_errors(text, self.transcript))

    def total(self, text: str) -> float:
        """The score of this audio as a rendering of ``text``."""
        return sample_score(self.wer(text), self.likeness)


def judge_all(tasks: Sequence[Task], what: str, jobs: int) -> list[Verdict]:
    """A verdict for each task, in order. Audio that cannot be scored has no likeness."""
    with ProcessPoolExecutor(jobs) as pool:
        return list(track(pool.map(_judge, tasks, chunksize=4), what, total=len(tasks)))


def _judge(task: Task) -> Verdict:
    audio = Audio(np.asarray(task.samples, dtype=np.float32), SAMPLE_RATE)
    try:
        measure = _likeness().measure(audio)
    except UnscorableAudioError:
        return Verdict(0.0, {}, "")
    heard = _recogniser().transcribe(perturb(audio, seed=0)) if task.transcribe else ""
    return Verdict(measure.value, dict(measure.details), heard)


# One of each per process.


@cache
def _likeness() -> HumanLikeness:
    return HumanLikeness()


@cache
def _recogniser() -> Recogniser:
    return load_recogniser(AsrSpec(), device="cpu")
