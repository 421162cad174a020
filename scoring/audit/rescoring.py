"""The published clips of some prompts, transcribed and measured again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from scoring.audio import read_audio
from scoring.audit.disagreement import DisagreementError
from scoring.comparison import RESCORED, Rule, differences
from scoring.contract import Sample, TtsRequest, TtsResult
from scoring.errors import UnscorableAudioError
from scoring.tts.judge import Judge, unscored
from scoring.tts.pipeline import summarise
from scoring.tts.seeds import prompt_seed

WORDS_HEARD_OTHERWISE = 3
"""On another machine a recogniser may hear a few words of a clip otherwise. Over a whole evaluation
that is nothing; of the few prompts of an audit it may be more than ``RESCORED`` allows."""


def rescore(
    work: TtsRequest, published: Sequence[Sample], clips: Mapping[int, Path], judge: Judge
) -> None:
    """Raise DisagreementError where the clips do not support the ``published`` samples."""
    found = [_again(sample, clips[sample.prompt.index], work, judge) for sample in published]
    before = part_result(work, published, floor=judge.floor)
    after = part_result(work, found, floor=judge.floor)
    if wrong := differences(before, after, _rules(published)):
        raise DisagreementError("the clips do not support the published figures", wrong)


def part_result(work: TtsRequest, samples: Sequence[Sample], *, floor: float) -> TtsResult:
    """An evaluation of these prompts alone."""
    return TtsResult(
        status="COMPLETED",
        human_floor=floor,
        aggregate=summarise(work, samples, floor=floor),
        samples=tuple(samples),
    )


def _again(sample: Sample, path: Path, work: TtsRequest, judge: Judge) -> Sample:
    try:
        heard = judge.score(
            sample.prompt, read_audio(path), seed=prompt_seed(work.seed, sample.prompt)
        )
    except UnscorableAudioError as error:
        return unscored(sample.prompt, str(error))
    return heard.model_copy(
        update={
            "audio": sample.audio,
            "audio_digest": hashlib.sha256(path.read_bytes()).hexdigest(),
            "truncated": sample.truncated,
        }
    )


def _rules(published: Sequence[Sample]) -> tuple[Rule, ...]:
    words = sum(sample.errors.words for sample in published if sample.errors is not None)
    heard_otherwise = WORDS_HEARD_OTHERWISE / max(words, 1)
    return (
        *RESCORED,
        Rule(r"aggregate\.(score|wer)", heard_otherwise),
        # Of so few prompts these say nothing that the figures themselves do not.
        Rule(r"aggregate\.(interval|wer_interval)\..*", math.inf),
    )
