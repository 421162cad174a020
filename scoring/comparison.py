"""Whether a published evaluation and a repetition of it say the same.

Both are compared leaf by leaf. On the same machine with the same versions every leaf must be equal.
Elsewhere other kernels round differently, and the tolerances here apply:

- of published **audio scored again**, the words heard may differ, but corpus WER, human likeness
  and score may not differ by more than 0.02, and the likeness of one sample not by more than 0.05;
- of speech **spoken again**, one rounding may turn one sampled token into another and the rest of a
  sample with it, so samples are not compared with each other: corpus WER and score must lie within
  the published intervals or 0.03 of the published figure, human likeness within 0.03, and the
  likelihood of recordings within 0.01 bits.

Digests, prompts and everything without a tolerance must be equal everywhere.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.contract import Sample, TtsResult
from scoring.manifest import Machine, Manifest, Protocol
from scoring.metrics.wer import sample_wer
from scoring.tts.human_floor import joint_floor
from scoring.tts.judge import counted_errors, unscored
from scoring.tts.pipeline import summarise
from scoring.tts.prompts import prompts_digest, resolve
from scoring.tts.total import sample_score

# What sums and powers of the same numbers may differ by.
ROUNDING = 1e-9
ABSENT = "(absent)"
_SHOWN_CHARS = 200


@dataclass(frozen=True)
class Difference:
    """One leaf at which two accounts disagree."""

    where: str
    published: str
    found: str
    allowed: str


@dataclass(frozen=True)
class Rule:
    """Numbers whose place matches ``pattern`` may differ by ``allowed``; by infinity: anything."""

    pattern: str
    allowed: float


EXACT: tuple[Rule, ...] = (
    Rule(r"timings.*", math.inf),
    # Under which path somebody keeps a model is theirs to choose: digests identify it.
    Rule(r"(synthesiser\.name|asr\.model|second_asr\.model|warnings.*)", math.inf),
)
"""Every figure is equal."""
RESCORED: tuple[Rule, ...] = (
    *EXACT,
    Rule(r"samples\.\d+\.human_likeness", 0.05),
    Rule(
        r"samples\.\d+\.(transcript|second_transcript|errors\..*|wer|score|components\..*)",
        math.inf,
    ),
    Rule(r"aggregate\.(score|interval\..*|wer|wer_interval\..*|human_likeness)", 0.02),
    Rule(r"aggregate\.components\..*", math.inf),
)


def respoken_rules(published: TtsResult) -> tuple[Rule, ...]:
    """The rules for speech that another machine spoke again."""
    aggregate = published.aggregate
    assert aggregate is not None
    score = max(0.03, _reach(aggregate.score, aggregate.interval.low, aggregate.interval.high))
    wer, bounds = 0.03, aggregate.wer_interval
    if bounds is not None:
        wer = max(wer, _reach(aggregate.wer, bounds.low, bounds.high))
    return (
        *EXACT,
        Rule(r"aggregate\.score", score),
        Rule(r"aggregate\.wer", wer),
        Rule(r"aggregate\.human_likeness", 0.03),
        Rule(r"likelihood\.(bits_per_token|base_bits_per_token)", 0.01),
        # The codec rounds too, and may then choose another token for a recording.
        Rule(r"likelihood\.recordings_digest", math.inf),
        # They are compared with one another in a way of their own.
        Rule(r"synthesiser\.(sketch|behaviour)\..*", math.inf),
        Rule(r"aggregate\.(interval|wer_interval|components)\..*", math.inf),
        Rule(r"aggregate\.(scored|unscored)", math.ceil(len(published.samples) / 10)),
        Rule(r"samples\.\d+\.(?!prompt\.).*", math.inf),
    )


def differences(published: TtsResult, found: TtsResult, rules: Sequence[Rule]) -> list[Difference]:
    """Where ``found`` departs from ``published`` by more than ``rules`` allow."""
    before = dict(_leaves(published.model_dump(mode="json")))
    after = dict(_leaves(found.model_dump(mode="json")))
    places = [*before, *(place for place in after if place not in before)]
    compared = (_compare(p, before.get(p, ABSENT), after.get(p, ABSENT), rules) for p in places)
    return [difference for difference in compared if difference is not None]


def same_circumstances(published: Manifest, machine: Machine, protocol: Protocol) -> bool:
    """Whether a repetition must give the very same numbers."""
    return published.machine == machine and published.protocol == protocol


def protocol_differences(published: Mapping[str, Any], current: Protocol) -> list[Difference]:
    """What this code would measure otherwise than the published evaluation did.

    ``published`` is a protocol as JSON, perhaps with the fields of another release.
    """
    before = dict(_leaves(published))
    after = dict(_leaves(current.model_dump(mode="json")))
    return [
        _difference(f"protocol.{p}", before.get(p, ABSENT), after.get(p, ABSENT), 0.0)
        for p in sorted(before.keys() | after.keys())
        if before.get(p, ABSENT) != after.get(p, ABSENT)
    ]


def inconsistencies(manifest: Manifest) -> list[Difference]:
    """Where a manifest contradicts itself, which needs no model and no audio to see.

    Digests must be those of what they name, and every figure that follows from others must follow.
    """
    request, result = manifest.request, manifest.result
    prompts = resolve(request.prompts)
    infos = [info for info in (result.asr, result.second_asr) if info is not None]
    digest = prompts_digest(prompts)
    told = [
        ("protocol_digest", manifest.protocol_digest, manifest.protocol.digest),
        ("result.protocol_digest", result.protocol_digest, manifest.protocol.digest),
        ("protocol.prompts_digest", manifest.protocol.prompts_digest, digest),
        (
            "protocol.recognisers",
            [r.digest for r in manifest.protocol.recognisers],
            [info.digest for info in infos],
        ),
        ("protocol.seed", manifest.protocol.seed, request.seed),
        ("protocol.max_seconds", manifest.protocol.max_seconds, request.max_seconds),
        ("machine.device", manifest.machine.device, request.device.partition(":")[0]),
        ("samples", len(result.samples), len(prompts)),
    ]
    found = [_difference(p, told_, real, 0.0) for p, told_, real in told if told_ != real]
    if len(result.samples) != len(prompts):
        return found
    floor = joint_floor(infos)
    samples = tuple(
        _recomputed(sample.model_copy(update={"prompt": prompt}), floor)
        for sample, prompt in zip(result.samples, prompts, strict=True)
    )
    again = result.model_copy(
        update={
            "samples": samples,
            "aggregate": summarise(request, samples, floor=floor),
            "prompts_digest": digest,
            "human_floor": floor,
        }
    )
    return found + differences(result, again, (*EXACT, Rule(r".*", ROUNDING)))


def _recomputed(sample: Sample, floor: float) -> Sample:
    """What follows from transcripts and likeness, computed again."""
    heard = [t for t in (sample.transcript, sample.second_transcript) if t is not None]
    if sample.outcome == "unscored" or not heard or sample.human_likeness is None:
        return unscored(sample.prompt, sample.reason or "")
    errors = counted_errors(sample.prompt.text, *heard)
    wer = sample_wer(errors)
    score = sample_score(wer, sample.human_likeness, floor=floor)
    return sample.model_copy(update={"errors": errors, "wer": wer, "score": score})


def _reach(figure: float, low: float, high: float) -> float:
    return max(figure - low, high - figure)


def _compare(place: str, before: Any, after: Any, rules: Sequence[Rule]) -> Difference | None:
    allowed = max((r.allowed for r in rules if re.fullmatch(r.pattern, place)), default=0.0)
    if before == after or math.isinf(allowed):
        return None
    numbers = isinstance(before, int | float) and isinstance(after, int | float)
    if numbers and abs(before - after) <= allowed:
        return None
    return _difference(place, before, after, allowed)


def _difference(place: str, before: Any, after: Any, allowed: float) -> Difference:
    return Difference(place, _shown(before), _shown(after), f"{allowed:g}" if allowed else "equal")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a JSON value with its place; an empty list or object is one."""
    if isinstance(value, Mapping | list) and value:
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _leaves(item, f"{place}.{key}" if place else str(key))
    else:
        yield place, value
