"""From an utterance to a clip on disk and all that can be said of it without a recogniser.

What is judged is the file, so that whoever has the file can judge it again. None of this needs the
speaking model or a GPU: it can be done in processes of their own.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scoring import audio
from scoring.asr.base import SAMPLE_RATE
from scoring.asr.perturb import perturb
from scoring.audio import Audio
from scoring.contract import FailureCode, Prompt
from scoring.errors import ScoringError, UnscorableAudioError
from scoring.metrics.base import Measure
from scoring.metrics.human_likeness import HumanLikeness
from scoring.tts.cores import one_blas_thread
from scoring.tts.synthesiser import Utterance


@dataclass(frozen=True)
class Measured:
    """A clip that can be judged: its length, the sha256 of its file, its human likeness."""

    seconds: float
    digest: str
    likeness: Measure


@dataclass(frozen=True)
class Clip:
    """What became of one prompt before anybody listened.

    ``seed`` names the perturbation under which it will be heard; ``outcome`` is a text where there
    is nothing to hear: the reason. ``busy`` is how many seconds this took.
    """

    position: int
    prompt: Prompt
    seed: int
    path: Path
    truncated: bool
    outcome: Measured | str
    busy: float = 0.0


@dataclass(frozen=True)
class Spoken:
    """An utterance to be written to ``path``."""

    prompt: Prompt
    seed: int
    path: Path
    utterance: Utterance


@dataclass(frozen=True)
class Perturbed:
    """A block of clips, and the audio to hear of those that can be judged, in their order."""

    clips: tuple[Clip, ...]
    audios: tuple[Audio, ...]
    busy: float


def record(spoken: Spoken, likeness: HumanLikeness) -> Clip:
    """Write an utterance down and measure the file; what cannot be judged leaves no file.

    Raises ScoringError DISK_FULL, and OSError where the file cannot be written otherwise.
    """
    start = time.perf_counter()
    outcome = _outcome(spoken.utterance, spoken.path, likeness)
    return Clip(
        spoken.utterance.index,
        spoken.prompt,
        spoken.seed,
        spoken.path,
        spoken.utterance.truncated,
        outcome,
        busy=time.perf_counter() - start,
    )


def measured(path: Path, likeness: HumanLikeness) -> Measured:
    """Measure the clip in ``path``. Raises UnscorableAudioError where it cannot be judged."""
    clip = audio.read_audio(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Measured(clip.seconds, digest, likeness.measure(clip))


def perturbed(clips: Sequence[Clip]) -> Perturbed:
    """Read the clips again and change them as the recognisers shall hear them, at their rate."""
    start = time.perf_counter()
    audios = tuple(
        audio.resample(perturb(audio.read_audio(clip.path), clip.seed), SAMPLE_RATE)
        for clip in clips
        if isinstance(clip.outcome, Measured)
    )
    return Perturbed(tuple(clips), audios, time.perf_counter() - start)


def _outcome(utterance: Utterance, path: Path, likeness: HumanLikeness) -> Measured | str:
    if utterance.audio is None:
        return utterance.failure or "the model produced no audio"
    try:
        audio.check(utterance.audio)
        audio.write_wav(path, utterance.audio)
        return measured(path, likeness)
    except UnscorableAudioError as error:
        path.unlink(missing_ok=True)
        return str(error)


# In processes of their own


@contextmanager
def recorders(count: int) -> Iterator[Executor | None]:
    """So many processes for ``record_here`` and ``perturbed``, which begin at once; None for none.

    Raises ScoringError EVALUATOR_ERROR where one of them is killed.
    """
    if count == 0:
        yield None
        return
    # Not forked: a process that uses CUDA cannot be.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(count, mp_context=context, initializer=_begin) as pool:
            # Any work makes it begin all of them.
            pool.submit(os.getpid)
            yield pool
    except BrokenProcessPool as error:
        raise ScoringError(
            FailureCode.EVALUATOR_ERROR,
            "a process that measures clips was killed, most likely for want of memory",
            "Evaluate on a machine with more memory, or with fewer cores.",
        ) from error


def record_here(spoken: Spoken) -> Clip:
    """``record`` with the human likeness of this process."""
    return record(spoken, _own_likeness())


@cache
def _own_likeness() -> HumanLikeness:
    return HumanLikeness()


def _begin() -> None:
    one_blas_thread()
    # Whoever interrupts the evaluation interrupts its main process, which ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed told nobody to end."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
