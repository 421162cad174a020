"""Writing clips down and measuring them, in this process and in others."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import hibari
import numpy as np
import pytest

from scoring.asr.perturb import perturb
from scoring.audio import Audio, read_audio, resample
from scoring.contract import FailureCode, Prompt
from scoring.errors import ScoringError
from scoring.metrics.base import Measure
from scoring.metrics.human_likeness import HumanLikeness
from scoring.tts.clips import Measured, Spoken, perturbed, record, record_here, recorders
from scoring.tts.cores import one_blas_thread
from scoring.tts.synthesiser import Utterance

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
LINES = (
    "I never said she stole my money.",
    "Did anybody see the cat?",
    "Captain, the storm is coming; bring everyone below deck right now!",
    "Seven old foxes sleep behind the mill.",
)


@pytest.fixture(scope="module", autouse=True)
def as_a_judge_does() -> None:
    one_blas_thread()


@pytest.fixture(scope="module")
def audios() -> list[Audio]:
    voice = hibari.Hibari(threads=1)
    return [Audio(voice(line, seed=0), hibari.SAMPLE_RATE) for line in LINES]


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with recorders(2) as pool:
        assert pool is not None
        yield pool


def spoken(index: int, audio: Audio | None, out: Path) -> Spoken:
    prompt = Prompt(index=index, text=LINES[index], description="A voice.")
    failure = "the model would not" if audio is None else None
    utterance = Utterance(index, audio, truncated=index == 1, failure=failure)
    return Spoken(prompt, 7 + index, out / f"{index}.wav", utterance)


def test_another_process_writes_and_measures_the_same(
    pool: Executor, audios: list[Audio], tmp_path: Path
) -> None:
    likeness = HumanLikeness()
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()

    here = [record(spoken(n, a, tmp_path / "here"), likeness) for n, a in enumerate(audios)]
    items = [spoken(n, a, tmp_path / "there") for n, a in enumerate(audios)]
    there = list(pool.map(record_here, items))

    assert [clip.outcome for clip in there] == [clip.outcome for clip in here]
    assert all(isinstance(clip.outcome, Measured) for clip in here)
    assert [clip.truncated for clip in there] == [False, True, False, False]
    for mine, theirs in zip(here, there, strict=True):
        assert mine.path.read_bytes() == theirs.path.read_bytes()


def test_what_will_be_heard_is_the_file_perturbed_at_the_recognisers_rate(
    pool: Executor, audios: list[Audio], tmp_path: Path
) -> None:
    likeness = HumanLikeness()
    clips = [
        record(spoken(0, audios[0], tmp_path), likeness),
        record(spoken(1, None, tmp_path), likeness),
        record(spoken(2, audios[2], tmp_path), likeness),
    ]

    block = pool.submit(perturbed, clips).result()

    assert [clip.prompt.index for clip in block.clips] == [0, 1, 2]
    assert block.clips[1].outcome == "the model would not"
    expected = [
        resample(perturb(read_audio(tmp_path / name), seed), 16_000)
        for name, seed in (("0.wav", 7), ("2.wav", 9))
    ]
    for heard, audio in zip(block.audios, expected, strict=True):
        assert heard.sample_rate == 16_000
        assert np.array_equal(heard.samples, audio.samples)


def test_what_cannot_be_judged_has_a_reason_and_leaves_no_file(
    pool: Executor, tmp_path: Path
) -> None:
    silence = Audio(np.zeros(16_000, np.float32), 16_000)
    # Sound, but none below 8 kHz: only the measures find that out, when it is written already.
    hiss = 0.1 * np.hanning(48_000) * np.sin(np.arange(48_000) * 2 * np.pi * 15 / 48)
    for index, audio in enumerate((silence, Audio(hiss.astype(np.float32), 48_000))):
        clip = pool.submit(record_here, spoken(index, audio, tmp_path)).result()
        assert isinstance(clip.outcome, str)
        assert "silent" in clip.outcome
    assert not list(tmp_path.iterdir())


def test_four_measuring_at_once_with_one_measure_that_is_new_find_what_one_finds(
    audios: list[Audio],
) -> None:
    alone = [HumanLikeness().measure(audio) for audio in audios]
    together, start = HumanLikeness(), Barrier(4)

    def measure(audio: Audio) -> Measure:
        start.wait(PATIENCE)
        return together.measure(audio)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(measure, audios)) == alone


def test_an_error_crosses_processes_whole(pool: Executor, audios: list[Audio], tmp_path: Path):
    missing = spoken(0, audios[0], tmp_path / "nowhere")
    with pytest.raises(OSError) as refused:
        pool.submit(record_here, missing).result()
    assert refused.value.errno == errno.ENOENT

    error = ScoringError(FailureCode.DISK_FULL, "no space", "free some")
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.message, again.remedy) == (error.code, error.message, error.remedy)


def test_a_killed_process_is_our_fault_and_named(audios: list[Audio], tmp_path: Path) -> None:
    before = set(multiprocessing.active_children())
    with pytest.raises(ScoringError) as failed, recorders(1) as pool:
        assert pool is not None
        pool.submit(record_here, spoken(0, audios[0], tmp_path)).result()
        (child,) = set(multiprocessing.active_children()) - before
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        pool.submit(record_here, spoken(1, audios[1], tmp_path)).result()
    assert failed.value.code is FailureCode.EVALUATOR_ERROR
    assert "killed" in failed.value.message


PARENT = """
import os, time
from scoring.tts.clips import recorders

if __name__ == "__main__":
    with recorders(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


def test_when_the_evaluation_is_killed_its_processes_end(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "parent.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    deadline = time.monotonic() + PATIENCE
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
