"""Stages that run at the same time, whatever their luck, give what they give one after another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import hibari
import numpy as np
import pytest

from scoring.asr.base import Recogniser
from scoring.asr.load import load_recogniser
from scoring.audio import Audio
from scoring.contract import (
    AsrInfo,
    CtcSpec,
    FailureCode,
    ListedPrompts,
    ParlerModel,
    Prompt,
    ReferenceVoice,
    SynthesiserInfo,
    TtsRequest,
)
from scoring.errors import ScoringError
from scoring.metrics.human_likeness import HumanLikeness
from scoring.tts.ahead import THREAD_NAME
from scoring.tts.clips import recorders
from scoring.tts.cores import one_blas_thread
from scoring.tts.judge import Judge
from scoring.tts.pace import Pace
from scoring.tts.pipeline import score_prompts
from scoring.tts.synthesiser import Synthesiser, Utterance
from scoring.tts.timings import Timings
from scripts.make_miniature import make_miniature
from tests.ctc_miniature import make_ctc


class Way(NamedTuple):
    """A pace, and how many processes record."""

    spoken: int
    blocks: int
    recorders: int


ALONE = Way(spoken=0, blocks=0, recorders=0)
AS_ON_TWO_CORES = Way(spoken=4, blocks=2, recorders=0)
AS_BESIDE_A_GPU = Way(spoken=4, blocks=2, recorders=1)
THREADS_ALONE = Way(spoken=1, blocks=1, recorders=0)
PATIENCE = 60.0
COUNT = 4
VOICE = SynthesiserInfo(kind="voice", name="scripted")
TEXT = "Did anybody see the cat?"


def prompts(count: int) -> ListedPrompts:
    return ListedPrompts(
        prompts=tuple(
            Prompt(index=n, text=f"{TEXT} {n}", description="A voice.") for n in range(count)
        )
    )


@pytest.fixture(scope="module")
def of_miniature(tmp_path_factory: pytest.TempPathFactory) -> TtsRequest:
    place = tmp_path_factory.mktemp("models")
    make_miniature(place / "model", seed=1)
    make_ctc(place / "ctc")
    return TtsRequest(
        synthesiser=ParlerModel(model_dir=place / "model"),
        prompts=prompts(COUNT),
        second_asr=CtcSpec(model=str(place / "ctc")),
        max_seconds=1.0,
    )


@pytest.mark.slow
def test_a_miniature_gets_the_same_bytes_at_every_pace(
    of_miniature: TtsRequest, tmp_path: Path
) -> None:
    from scoring.tts.load import load_synthesiser  # the pipeline must be imported before it

    synthesiser, judge = load_synthesiser(of_miniature), Judge.load(of_miniature)
    # A GPU hears blocks; which device it is decides nothing else here.
    paces = [
        ("cpu", ALONE),
        ("cpu", AS_ON_TWO_CORES),
        ("cuda", AS_BESIDE_A_GPU),
    ]
    seen = []
    for run, (device, way) in enumerate(paces):
        out = tmp_path / str(run)
        wanted = of_miniature.model_copy(update={"device": device})
        seen.append(outcome(wanted, synthesiser, judge, out, way))

    assert len(seen[0].files) == COUNT
    assert all(other == seen[0] for other in seen[1:])


@dataclass(frozen=True)
class Outcome:
    """All that an evaluation leaves, but for its timings."""

    result: bytes
    files: dict[str, bytes]


def outcome(
    request: TtsRequest, synthesiser: Synthesiser, judge: Judge, out: Path, way: Way
) -> Outcome:
    assert isinstance(request.prompts, ListedPrompts)
    done: list[int] = []
    timings = Timings()
    with recorders(way.recorders) as pool:
        result = score_prompts(
            request,
            request.prompts.prompts,
            synthesiser,
            judge,
            out,
            timings=timings,
            progress=lambda finished, _all: done.append(finished),
            pace=Pace(way.spoken, way.blocks),
            pool=pool,
        )
    assert done == list(range(len(request.prompts.prompts) + 1))
    assert set(result.timings) == {"speak", "record", "perturb", "listen", "wall"}
    assert timings.seconds["wall"] >= timings.seconds["listen"] > 0.0
    assert not threads()
    untimed = result.model_copy(update={"timings": {}})
    files = {path.name: path.read_bytes() for path in (out / "audio").iterdir()}
    return Outcome(untimed.model_dump_json().encode(), files)


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith(THREAD_NAME)]


# Voices and listeners that wait for each other


@dataclass
class Course:
    """How far two stages have come; each can wait for the other."""

    spoken: int = 0
    heard: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def step(self, stage: str) -> None:
        with self.changed:
            setattr(self, stage, getattr(self, stage) + 1)
            self.changed.notify_all()

    def wait(self, until: Callable[[Course], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: until(self), PATIENCE)


@dataclass(frozen=True)
class Voice:
    """Says one recording for every prompt, from the last to the first; waits before each."""

    audio: Audio
    course: Course
    before: Callable[[Course], bool]
    info: SynthesiserInfo = VOICE

    def speak(self, prompts: Sequence[Prompt]) -> Iterator[Utterance]:
        for index in reversed(range(len(prompts))):
            self.course.wait(self.before)
            self.course.step("spoken")
            samples = self.audio.samples * np.float32(1.0 - index / 100)
            yield Utterance(index, Audio(samples, self.audio.sample_rate), False, None)


@dataclass(frozen=True)
class Listener:
    """A recogniser that waits before it listens."""

    recogniser: Recogniser
    course: Course
    before: Callable[[Course], bool]

    @property
    def info(self) -> AsrInfo:
        return self.recogniser.info

    def transcribe(self, audio: Audio) -> str:
        return self.transcribe_all([audio])[0]

    def transcribe_all(self, audios: Sequence[Audio]) -> list[str]:
        self.course.wait(self.before)
        heard = self.recogniser.transcribe_all(audios)
        for _ in audios:
            self.course.step("heard")
        return heard


@pytest.fixture(scope="module")
def voice() -> Audio:
    return Audio(hibari.Hibari(threads=1)(TEXT, seed=0), hibari.SAMPLE_RATE)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """The real thing, but for a recogniser that takes no time: it is waited for often."""
    one_blas_thread()
    directory = tmp_path_factory.mktemp("ctc")
    make_ctc(directory)
    recogniser = load_recogniser(CtcSpec(model=str(directory)), device="cpu")
    return Judge(recogniser, None, HumanLikeness())


def of_voice(device: str, count: int = COUNT) -> TtsRequest:
    return TtsRequest(
        synthesiser=ReferenceVoice(name="hibari"), prompts=prompts(count), device=device
    )


def at_once(_: Course) -> bool:
    return True


SCHEDULES: dict[str, tuple[Way, str, Callable[[Course], bool], Callable[[Course], bool]]] = {
    "speaking waits until what it said was heard": (
        AS_ON_TWO_CORES,
        "cpu",
        lambda c: c.heard == c.spoken,
        at_once,
    ),
    "listening waits until speaking is two ahead": (
        AS_ON_TWO_CORES,
        "cpu",
        at_once,
        lambda c: c.spoken >= min(c.heard + 3, COUNT),
    ),
    "listening waits until all is spoken": (
        AS_BESIDE_A_GPU,
        "cuda",
        at_once,
        lambda c: c.spoken == COUNT,
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_whoever_is_slow_the_result_is_the_same(
    name: str, judge: Judge, voice: Audio, tmp_path: Path
) -> None:
    way, device, before_speaking, before_listening = SCHEDULES[name]
    plain = Voice(voice, Course(), at_once)
    expected = outcome(of_voice("cpu"), plain, judge, tmp_path / "alone", ALONE)

    course = Course()
    slow = Judge(Listener(judge.recogniser, course, before_listening), None, judge.likeness)
    waiting = Voice(voice, course, before_speaking)
    found = outcome(of_voice(device), waiting, slow, tmp_path / "overlapped", way)

    assert found == expected


def test_who_listens_slowly_holds_the_speaker_back(
    judge: Judge, voice: Audio, tmp_path: Path
) -> None:
    count, most, gaps = 8, 3, []
    course = Course()

    def as_far_as_it_may(c: Course) -> bool:
        gaps.append(c.spoken - c.heard)
        return c.spoken >= min(c.heard + 1 + most, count)

    slow = Judge(Listener(judge.recogniser, course, as_far_as_it_may), None, judge.likeness)
    way = Way(spoken=most, blocks=0, recorders=0)
    speaker = Voice(voice, course, at_once)
    outcome(of_voice("cpu", count), speaker, slow, tmp_path, way)

    # The one that is being heard, and those that may wait.
    assert max(gaps) == 1 + most


@dataclass(frozen=True)
class Failing:
    """A voice that has said something when it fails."""

    audio: Audio
    error: BaseException
    info: SynthesiserInfo = VOICE

    def speak(self, prompts: Sequence[Prompt]) -> Iterator[Utterance]:
        yield Utterance(0, self.audio, False, None)
        raise self.error


@pytest.mark.parametrize("way", [ALONE, AS_ON_TWO_CORES, AS_BESIDE_A_GPU])
def test_what_speaking_raises_surfaces_with_its_code_and_ends_every_stage(
    way: Way, judge: Judge, voice: Audio, tmp_path: Path
) -> None:
    full = ScoringError(FailureCode.OUT_OF_MEMORY, "the device is full", "Buy another.")

    with pytest.raises(ScoringError) as failed:
        outcome(of_voice("cuda"), Failing(voice, full), judge, tmp_path, way)

    assert failed.value.code is FailureCode.OUT_OF_MEMORY
    assert not threads()


@pytest.mark.parametrize("way", [AS_ON_TWO_CORES, AS_BESIDE_A_GPU])
def test_what_writing_raises_surfaces_and_ends_every_stage(
    way: Way, judge: Judge, voice: Audio, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    # In the way of the clip: it can be written, but not be put in its place.
    (out / "audio" / "00003.wav").mkdir(parents=True)

    with pytest.raises(IsADirectoryError):
        outcome(of_voice("cuda"), Voice(voice, Course(), at_once), judge, out, way)

    assert not threads()


@pytest.mark.parametrize(
    ("error", "way"),
    [
        (KeyboardInterrupt(), THREADS_ALONE),
        (ScoringError(FailureCode.OUT_OF_MEMORY, "no room"), AS_BESIDE_A_GPU),
    ],
)
def test_leaving_while_others_work_ends_every_stage(
    error: BaseException, way: Way, judge: Judge, voice: Audio, tmp_path: Path
) -> None:
    class Interrupted(Listener):
        def transcribe_all(self, audios: Sequence[Audio]) -> list[str]:
            raise error

    course = Course()
    interrupted = Judge(Interrupted(judge.recogniser, course, at_once), None, judge.likeness)
    with pytest.raises(type(error)):
        speaker = Voice(voice, course, at_once)
        outcome(of_voice("cpu", 50), speaker, interrupted, tmp_path, way)
    assert course.spoken < 50
    assert not threads()
