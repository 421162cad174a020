"""Whatever a synthesiser comes up with, the real judge gives it an outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hibari
import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.asr.load import load_recogniser
from scoring.audio import Audio, read_audio
from scoring.contract import (
    CtcSpec,
    FailureCode,
    ListedPrompts,
    Prompt,
    ReferenceVoice,
    SynthesiserInfo,
    TtsRequest,
    TtsResult,
)
from scoring.errors import ScoringError
from scoring.metrics.wer import word_errors
from scoring.tts.judge import Judge, counted_errors
from scoring.tts.pace import Pace
from scoring.tts.pipeline import score_prompts
from scoring.tts.synthesiser import Utterance
from scoring.tts.timings import Timings
from tests.ctc_miniature import make_ctc

TEXT = "Did anybody see where the cat went?"
RATE = hibari.SAMPLE_RATE
ALONE = Pace(spoken=0, blocks=0)

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Scripted:
    """Speaks what it is told to, prompt by prompt."""

    utterances: Iterable[Utterance]
    info: SynthesiserInfo

    def speak(self, prompts: Sequence[Prompt]) -> Iterator[Utterance]:
        yield from self.utterances


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load(request(1))


@pytest.fixture(scope="module")
def speech() -> Samples:
    return np.asarray(hibari.Hibari(threads=1)(TEXT, seed=0), dtype=np.float32)


def request(count: int) -> TtsRequest:
    prompts = tuple(Prompt(index=n, text=TEXT, description="A voice.") for n in range(count))
    return TtsRequest(
        synthesiser=ReferenceVoice(name="hibari"), prompts=ListedPrompts(prompts=prompts)
    )


def spoken(index: int, samples: Samples, rate: int = RATE) -> Utterance:
    return Utterance(index, Audio(samples, rate), truncated=False, failure=None)


def failed(index: int) -> Utterance:
    return Utterance(index, None, truncated=False, failure="the model would not speak")


def score(
    judge: Judge,
    out: Path,
    count: int,
    utterances: Iterable[Utterance],
    *,
    device: str = "cpu",
    pace: Pace = ALONE,
) -> TtsResult:
    wanted = request(count).model_copy(update={"device": device})
    assert isinstance(wanted.prompts, ListedPrompts)
    return score_prompts(
        wanted,
        wanted.prompts.prompts,
        Scripted(utterances, SynthesiserInfo(kind="voice", name="scripted")),
        judge,
        out,
        timings=Timings(),
        progress=lambda _done, _all: None,
        pace=pace,
    )


def nan(speech: Samples) -> Samples:
    return np.where(np.arange(len(speech)) == 1_000, np.float32(np.nan), speech)


def infinite(speech: Samples) -> Samples:
    return np.where(np.arange(len(speech)) == 1_000, np.float32(np.inf), speech)


BAD = {
    "empty": (lambda speech: speech[:0], "empty"),
    "shorter than 0.3 s": (lambda speech: speech[: int(0.29 * RATE)], "0.290 s"),
    "NaN": (nan, "NaN"),
    "infinite": (infinite, "infinite"),
    "an offset alone": (lambda speech: np.full(RATE, 0.3, np.float32), "silent"),
    "silent in 16 bits": (lambda speech: speech * np.float32(1e-5), "silent"),
    "ten minutes": (lambda speech: np.resize(speech, 600 * RATE), "600.0 s"),
    "16-bit integers as floats": (lambda speech: speech * np.float32(32_767), "full scale"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_utterance_is_unscored_with_its_reason_and_the_model_keeps_its_score(
    name: str, judge: Judge, speech: Samples, tmp_path: Path
) -> None:
    spoil, words = BAD[name]

    result = score(judge, tmp_path, 2, [spoken(1, spoil(speech)), spoken(0, speech)])

    good, bad = result.samples
    assert good.outcome == "scored"
    assert bad.outcome == "unscored"
    assert bad.reason is not None
    assert words in bad.reason
    assert bad.score is None
    assert bad.wer is None
    assert bad.errors is not None
    assert bad.errors.deletions == bad.errors.words == 7
    assert [path.name for path in (tmp_path / "audio").iterdir()] == ["00000.wav"]
    assert result.aggregate is not None
    assert result.aggregate.wer >= 0.5


def test_a_model_that_fails_on_most_prompts_has_failed(
    judge: Judge, speech: Samples, tmp_path: Path
) -> None:
    with pytest.raises(ScoringError) as refused:
        score(judge, tmp_path, 3, [failed(0), failed(1), spoken(2, speech)])

    assert refused.value.code == FailureCode.TOO_MANY_FAILED_PROMPTS
    assert "2 of 3" in refused.value.message
    assert "would not speak" in refused.value.message


def test_an_engine_that_answers_one_prompt_for_ever_stalls_nothing(
    judge: Judge, tmp_path: Path
) -> None:
    class Stuck:
        info = SynthesiserInfo(kind="voice", name="stuck")

        def speak(self, prompts: Sequence[Prompt]) -> Iterator[Utterance]:
            while True:
                yield failed(0)

    wanted = request(3)
    assert isinstance(wanted.prompts, ListedPrompts)
    with pytest.raises(ScoringError) as refused:
        score_prompts(
            wanted,
            wanted.prompts.prompts,
            Stuck(),
            judge,
            tmp_path,
            timings=Timings(),
            progress=lambda _done, _all: None,
        )
    assert refused.value.code == FailureCode.EVALUATOR_ERROR
    assert "2 prompts" in refused.value.message


def test_a_wrong_sample_rate_is_a_bad_voice_and_no_crash(
    judge: Judge, speech: Samples, tmp_path: Path
) -> None:
    honest, doubled, absurd = (
        score(judge, tmp_path / str(rate), 2, [spoken(0, speech, rate), spoken(1, speech)])
        for rate in (RATE, 2 * RATE, 4_000)
    )

    assert honest.samples[0].human_likeness is not None
    assert doubled.samples[0].human_likeness is not None
    assert doubled.samples[0].human_likeness < honest.samples[0].human_likeness
    assert absurd.samples[0].outcome == "unscored"
    assert "4000 Hz" in (absurd.samples[0].reason or "")


def test_what_is_scored_is_the_file_that_is_published(
    judge: Judge, speech: Samples, tmp_path: Path
) -> None:
    loud = speech / np.abs(speech).max() * np.float32(4.0)

    (sample,) = score(judge, tmp_path, 1, [spoken(0, loud)]).samples

    assert sample.audio is not None
    again = judge.likeness.measure(read_audio(tmp_path / sample.audio))
    assert sample.human_likeness == again.value
    assert sample.human_likeness != judge.likeness.measure(Audio(loud, RATE)).value


def test_of_two_recognisers_the_one_that_hears_worse_counts(
    judge: Judge, speech: Samples, tmp_path: Path
) -> None:
    make_ctc(tmp_path / "ctc")
    second = load_recogniser(CtcSpec(model=str(tmp_path / "ctc")), device="cpu")
    both = Judge(judge.recogniser, second, judge.likeness)

    alone = score(judge, tmp_path / "one", 1, [spoken(0, speech)])
    joint = score(both, tmp_path / "two", 1, [spoken(0, speech)])

    (one,), (two,) = alone.samples, joint.samples
    assert two.transcript == one.transcript
    assert one.second_transcript is None
    assert two.second_transcript is not None
    assert two.errors == word_errors(TEXT, two.second_transcript)
    assert two.wer is not None and one.wer is not None and two.wer > one.wer
    assert two.score is not None and one.score is not None and two.score < one.score
    assert joint.second_asr is not None
    assert joint.second_asr.engine == "ctc"
    # The untrained one was never tried on people; that of the other still is a floor of both.
    assert joint.human_floor == alone.human_floor > 0.0
    assert any("misheard" in warning for warning in joint.warnings)


@pytest.mark.parametrize("heard", [("a b c d", "a b"), ("a b", "a b c d")])
def test_the_worse_transcript_counts_whichever_it_is(heard: tuple[str, str]) -> None:
    assert counted_errors("a b c d", *heard) == word_errors("a b c d", "a b")
