"""Whether the signed figures follow from the published samples, which needs no audio to see."""

from __future__ import annotations

from collections.abc import Sequence

from scoring.audit.disagreement import DisagreementError
from scoring.audit.records import PublishedSample
from scoring.comparison import ROUNDING, Difference
from scoring.competition.records import RoundResult
from scoring.contract import Prompt, Sample, TtsRequest
from scoring.metrics.wer import sample_wer, word_errors
from scoring.tts.judge import unscored
from scoring.tts.pipeline import summarise
from scoring.tts.total import sample_score


def published_samples(
    published: Sequence[PublishedSample], prompts: Sequence[Prompt], *, floor: float
) -> tuple[Sample, ...]:
    """The published samples of all ``prompts``; WER and score follow from errors and likeness.

    Raises DisagreementError where that cannot have become of a prompt.
    """
    if [sample.prompt_index for sample in published] != [prompt.index for prompt in prompts]:
        raise _impossible("samples", f"{len(published)} samples", f"{len(prompts)}, one a prompt")
    return tuple(_sample(s, p, floor=floor) for s, p in zip(published, prompts, strict=True))


def check_sums(
    signed: RoundResult, work: TtsRequest, samples: Sequence[Sample], *, floor: float
) -> None:
    """Raise DisagreementError where the signed result is not what its samples add up to."""
    found = summarise(work, samples, floor=floor)
    pairs: list[tuple[str, float | None, float | None]] = [
        ("score", signed.score, found.score),
        ("interval.low", signed.interval.low, found.interval.low),
        ("interval.high", signed.interval.high, found.interval.high),
        ("wer", signed.wer, found.wer),
        ("human_likeness", signed.human_likeness, found.human_likeness),
    ]
    pairs += [
        (f"prompt_scores.{sample.prompt.index}", score, sample.score)
        for sample, score in zip(samples, signed.prompt_scores, strict=True)
    ]
    wrong = [_difference(*pair) for pair in pairs if not _equal(*pair[1:])]
    if wrong:
        raise DisagreementError("the signed figures do not follow from the samples", wrong)


def _sample(shown: PublishedSample, prompt: Prompt, *, floor: float) -> Sample:
    if shown.outcome == "unscored":
        return unscored(prompt, "")
    where, words = f"samples.{prompt.index}", word_errors(prompt.text, "").words
    if shown.errors is None or shown.human_likeness is None:
        raise _impossible(where, "scored without errors or likeness", "both")
    if shown.errors.words != words:
        raise _impossible(f"{where}.errors.words", shown.errors.words, words)
    wer = sample_wer(shown.errors)
    return Sample(
        prompt=prompt,
        outcome="scored",
        audio=f"{prompt.index:05d}.wav",
        audio_digest=shown.audio_digest,
        seconds=shown.seconds,
        truncated=shown.truncated,
        errors=shown.errors,
        wer=wer,
        human_likeness=shown.human_likeness,
        score=sample_score(wer, shown.human_likeness, floor=floor),
        components=shown.components,
    )


def _equal(published: float | None, found: float | None) -> bool:
    if published is None or found is None:
        return published is found
    return abs(published - found) <= ROUNDING


def _difference(where: str, published: object, found: object) -> Difference:
    return Difference(where, str(published), str(found), "equal")


def _impossible(where: str, published: object, found: object) -> DisagreementError:
    difference = _difference(where, published, found)
    return DisagreementError("what is published of a prompt cannot be", [difference])
