"""Some prompts spoken again by the model itself, and compared with what was published.

On the same kind of machine the clips are equal, byte for byte. Elsewhere one rounding may choose
another token, and from there on a clip is another one; but until then it is the same, and the
figures over all clips are those of the same model. Both are asked for: another model departs within
the first tokens, and clips that were replaced behind their beginning have other figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scoring.audio import Audio, read_audio, resample
from scoring.audit.disagreement import DisagreementError
from scoring.audit.records import AuditRequest
from scoring.audit.rescoring import part_result
from scoring.comparison import EXACT, Difference, Rule, differences
from scoring.contract import Sample, TtsRequest, TtsResult
from scoring.errors import ScoringError, UnscorableAudioError
from scoring.tts.judge import Judge
from scoring.tts.load import load_synthesiser
from scoring.tts.pipeline import score_prompts
from scoring.tts.timings import Timings

BEGINNING_SECONDS = 0.25
ALIKE = 0.05
"""The energy of the difference of two beginnings, in parts of the energy of both."""
LEAST_ALIKE = 0.25
"""The part of all clips that must begin as published."""
LEAST_TOLERANCE = 0.03
"""As between whole evaluations on two machines."""
DEVIATIONS = 6.0
"""Standard errors by which figures may differ. Spoken wholly anew they differ by more than the
square root of 2 times 4.2 in one of 30,000 audits: twice would exclude a submission for ever."""


def respeak(
    work: TtsRequest, published: Sequence[Sample], request: AuditRequest, judge: Judge, out: Path
) -> None:
    """Raise DisagreementError where the model departs from the ``published`` samples.

    Raises ScoringError where that is not the model's fault.
    """
    try:
        found = _spoken(work, published, request, judge, out)
    except ScoringError as error:
        if error.code.fault != "submission":
            raise
        failed = Difference("status", "COMPLETED", f"FAILED: {error.message}", "equal")
        raise DisagreementError("a model that fails was scored", [failed]) from error
    if [s.audio_digest for s in found] == [s.audio_digest for s in published]:
        return
    before = part_result(work, published, floor=judge.floor)
    after = part_result(work, found, floor=judge.floor)
    wrong = [
        *_beginnings(published, found, request, out),
        *differences(before, after, _rules(before)),
    ]
    if wrong:
        raise DisagreementError("the model does not speak as published", wrong)


def _spoken(
    work: TtsRequest, published: Sequence[Sample], request: AuditRequest, judge: Judge, out: Path
) -> tuple[Sample, ...]:
    synthesiser = load_synthesiser(work)
    digest = synthesiser.info.weights_digest
    if digest != request.weights_digest:
        other = Difference("weights_digest", str(request.weights_digest), str(digest), "equal")
        raise DisagreementError("the repository holds other weights than were scored", [other])
    prompts = tuple(sample.prompt for sample in published)
    return score_prompts(
        work, prompts, synthesiser, judge, out, timings=Timings(), progress=lambda *_: None
    ).samples


def _beginnings(
    published: Sequence[Sample], found: Sequence[Sample], request: AuditRequest, out: Path
) -> list[Difference]:
    alike = [
        other.audio is not None
        and _begin_alike(request.clips[sample.prompt.index], out / other.audio)
        for sample, other in zip(published, found, strict=True)
    ]
    if sum(alike) >= LEAST_ALIKE * len(alike):
        return []
    return [
        Difference(
            f"first {BEGINNING_SECONDS} s of clips",
            f"{len(alike)} clips",
            f"{sum(alike)} begin like them",
            f"at least {math.ceil(LEAST_ALIKE * len(alike))}",
        )
    ]


def _begin_alike(published: Path, found: Path) -> bool:
    try:
        one, other = read_audio(published), read_audio(found)
    except UnscorableAudioError:
        return False
    one, other = _beginning(one), _beginning(resample(other, one.sample_rate))
    length = min(len(one.samples), len(other.samples))
    a, b = one.samples[:length].astype(np.float64), other.samples[:length].astype(np.float64)
    energy = float(np.sum(a**2) + np.sum(b**2))
    return energy > 0.0 and float(np.sum((a - b) ** 2)) <= ALIKE * energy


def _beginning(audio: Audio) -> Audio:
    return Audio(audio.samples[: int(BEGINNING_SECONDS * audio.sample_rate)], audio.sample_rate)


def _rules(published: TtsResult) -> tuple[Rule, ...]:
    scores = [sample.score or 0.0 for sample in published.samples]
    likeness = [sample.human_likeness or 0.0 for sample in published.samples]
    rates = [sample.wer or 0.0 for sample in published.samples]
    return (
        *EXACT,
        Rule(r"aggregate\.score", _tolerance(scores)),
        Rule(r"aggregate\.wer", _tolerance(rates)),
        Rule(r"aggregate\.human_likeness", _tolerance(likeness)),
        Rule(r"aggregate\.(interval|wer_interval|components)\..*", math.inf),
        Rule(r"aggregate\.(scored|unscored)", math.ceil(len(scores) / 10)),
        Rule(r"samples\.\d+\.(?!prompt\.).*", math.inf),
    )


def _tolerance(values: Sequence[float]) -> float:
    return max(LEAST_TOLERANCE, DEVIATIONS * float(np.std(values)) / math.sqrt(len(values)))
