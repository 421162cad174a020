"""The manifest names all that a score depends on, and nothing of the moment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scoring import manifest as module
from scoring.comparison import Rule, differences, inconsistencies, respoken_rules
from scoring.contract import (
    AsrInfo,
    ParlerModel,
    ReferenceVoice,
    Sample,
    SeededPrompts,
    SynthesiserInfo,
    TtsRequest,
    TtsResult,
)
from scoring.manifest import Manifest, code_digests, describe, write_manifest
from scoring.metrics.wer import sample_wer
from scoring.tts.judge import counted_errors, unscored
from scoring.tts.pipeline import summarise
from scoring.tts.prompts import prompts_digest, resolve
from scoring.tts.total import sample_score

ASR = AsrInfo(engine="ctc", model="/a/ctc", version="1", digest="a" * 64, rehearsal=False)
REQUEST = TtsRequest(
    synthesiser=ReferenceVoice(name="hibari"), prompts=SeededPrompts(seed="round 7", count=4)
)


def completed(request: TtsRequest = REQUEST, likeness: float = 0.8) -> TtsResult:
    """A result that is what its parts say: three prompts spoken perfectly, one not at all."""
    prompts = resolve(request.prompts)
    samples: list[Sample] = []
    for prompt in prompts[:-1]:
        errors = counted_errors(prompt.text, prompt.text)
        wer = sample_wer(errors)
        samples.append(
            Sample(
                prompt=prompt,
                outcome="scored",
                audio=f"audio/{prompt.index:05d}.wav",
                seconds=2.0,
                transcript=prompt.text,
                errors=errors,
                wer=wer,
                human_likeness=likeness,
                score=sample_score(wer, likeness),
            )
        )
    samples.append(unscored(prompts[-1], "the model would not speak"))
    return TtsResult(
        status="COMPLETED",
        synthesiser=SynthesiserInfo(kind="voice", name="hibari"),
        asr=ASR,
        prompts_digest=prompts_digest(prompts),
        aggregate=summarise(request, samples, floor=0.0),
        samples=tuple(samples),
        timings={"speak": 1.5},
    )


def protocol_digest(**changes: object) -> str:
    request = REQUEST.model_copy(update=changes)
    return describe(request, completed(request)).protocol_digest


def test_timings_leave_no_trace() -> None:
    slow = completed().model_copy(update={"timings": {"speak": 99.0}})

    assert describe(REQUEST, slow) == describe(REQUEST, completed())


def test_a_manifest_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = describe(REQUEST, completed())

    write_manifest(manifest, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    assert Manifest.model_validate_json((tmp_path / "manifest.json").read_bytes()) == manifest


def test_the_model_and_the_device_are_no_part_of_the_protocol(tmp_path: Path) -> None:
    other = ParlerModel(model_dir=tmp_path, revision="b" * 40)

    assert protocol_digest() == protocol_digest(synthesiser=other)
    assert protocol_digest() == protocol_digest(synthesiser=ReferenceVoice(name="hibari-noise"))


def test_what_a_score_depends_on_is_part_of_the_protocol() -> None:
    digests = {
        protocol_digest(),
        protocol_digest(seed=1),
        protocol_digest(max_seconds=10.0),
        protocol_digest(prompts=SeededPrompts(seed="round 8", count=4)),
        protocol_digest(prompts=SeededPrompts(seed="round 7", count=5)),
    }
    other = ASR.model_copy(update={"digest": "c" * 64})
    for changes in ({"asr": other}, {"second_asr": other}, {"human_floor": 0.03}):
        digests.add(describe(REQUEST, completed().model_copy(update=changes)).protocol_digest)

    assert len(digests) == 8


def test_where_a_recogniser_is_kept_is_no_part_of_the_protocol() -> None:
    moved = completed().model_copy(update={"asr": ASR.model_copy(update={"model": "/b/ctc"})})

    assert describe(REQUEST, moved).protocol_digest == protocol_digest()


@pytest.mark.parametrize(
    ("file", "component"),
    [
        ("metrics/wer.py", "metrics"),
        ("metrics/human_reference.json", "metrics"),
        ("asr/perturb.py", "asr"),
        ("tts/parler/engine.py", "engine"),
        ("tts/prompt_stream/lines.json", "prompts"),
        ("tts/total.py", "formula"),
        ("tts/human_floor.json", "formula"),
        ("competition/allocation.py", None),
    ],
)
def test_a_change_of_code_or_data_changes_its_component_alone(
    file: str, component: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "scoring"
    shutil.copytree(module.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "PACKAGE", package)
    before = code_digests()
    (package / file).write_bytes((package / file).read_bytes() + b"\n")
    after = code_digests()

    assert {name for name in before if before[name] != after[name]} == {component} - {None}


def test_a_manifest_that_is_what_its_parts_say_has_no_inconsistency() -> None:
    assert inconsistencies(describe(REQUEST, completed())) == []


def doctored(place: str, value: object) -> Manifest:
    """A manifest with one figure changed, at a path such as ``result.samples.0.wer``."""
    content = describe(REQUEST, completed()).model_dump(mode="json")
    *path, last = place.split(".")
    target = content
    for step in path:
        target = target[int(step)] if isinstance(target, list) else target[step]
    target[int(last) if isinstance(target, list) else last] = value
    return Manifest.model_validate(content)


@pytest.mark.parametrize(
    ("place", "value", "shows"),
    [
        ("result.aggregate.score", 0.9, "aggregate.score"),
        ("result.aggregate.interval.high", 1.0, "aggregate.interval.high"),
        ("result.aggregate.wer", 0.0, "aggregate.wer"),
        ("result.samples.0.transcript", "something else", "samples.0.errors.substitutions"),
        ("result.samples.0.wer", 0.5, "samples.0.wer"),
        ("result.samples.0.score", 0.9, "samples.0.score"),
        ("result.samples.0.human_likeness", 0.9, "samples.0.score"),
        ("result.samples.0.prompt.text", "Hello.", "samples.0.prompt.text"),
        ("result.samples.3.errors.deletions", 0, "samples.3.errors.deletions"),
        ("result.human_floor", 0.5, "human_floor"),
        ("result.prompts_digest", "0" * 64, "prompts_digest"),
        ("request.prompts.seed", "round 8", "protocol.prompts_digest"),
        ("request.seed", 3, "protocol.seed"),
        ("protocol.code.metrics", "0" * 64, "protocol_digest"),
        ("protocol_digest", "0" * 64, "protocol_digest"),
        ("result.asr.digest", "0" * 64, "protocol.recognisers"),
    ],
)
def test_a_doctored_manifest_contradicts_itself(place: str, value: object, shows: str) -> None:
    assert shows in {difference.where for difference in inconsistencies(doctored(place, value))}


def test_another_machine_may_speak_otherwise_but_not_better() -> None:
    published = completed()
    rules = respoken_rules(published)

    alike = completed(likeness=0.81)
    better = completed(likeness=0.95)

    assert differences(published, alike, rules) == []
    places = {difference.where for difference in differences(published, better, rules)}
    assert "aggregate.human_likeness" in places


def test_a_figure_on_one_side_only_is_a_difference() -> None:
    published = completed()
    without = published.model_copy(update={"samples": published.samples[:-1]})

    found = differences(published, without, [Rule(r"samples\.\d+\.errors\..*", 0.5)])

    assert {d.found for d in found} == {"(absent)"}
    assert {d.where.split(".")[1] for d in found} == {"3"}
