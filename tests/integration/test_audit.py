"""Audits of evaluations that were really made: honest ones, and all that a service might make up.

Whatever a liar changes, it also changes all that follows from it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from audit_bench import (
    COUNT,
    MAX_SECONDS,
    SEED,
    Evaluated,
    doctored,
    evaluate,
    round_result,
    shown_samples,
)
from miniatures import edit_tensors

from neurons.validator_audit_process import run_audit
from scoring.audit import run
from scoring.audit.records import AuditReport, AuditRequest, PublishedSample
from scoring.contract import (
    AsrSpec,
    ParlerModel,
    ReferenceVoice,
    SeededPrompts,
    TtsRequest,
    TtsResult,
)
from scoring.errors import ScoringError
from scoring.tts.pipeline import summarise
from scripts.make_miniature import make_miniature


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """Speech that people understand."""
    return evaluate(ReferenceVoice(name="hibari"), tmp_path_factory.mktemp("voice") / "out")


@pytest.fixture(scope="module")
def wrong_text(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """Good speech that says something else."""
    voice = ReferenceVoice(name="hibari-wrong-text")
    return evaluate(voice, tmp_path_factory.mktemp("wrong") / "out")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base model, and a fine-tune of it."""
    place = tmp_path_factory.mktemp("models")
    for name in ("base", "tuned"):
        make_miniature(place / name, seed=1)
    edit_tensors(place / "tuned", lambda t: t["decoder.lm_heads.0.weight"].__imul__(1.3))
    return place / "base", place / "tuned"


@pytest.fixture(scope="module")
def of_base(models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return evaluate(ParlerModel(model_dir=models[0]), tmp_path_factory.mktemp("of_base") / "out")


@pytest.fixture(scope="module")
def of_tuned(models: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return evaluate(ParlerModel(model_dir=models[1]), tmp_path_factory.mktemp("of_tuned") / "out")


def request_of(
    published: Evaluated, *, clips: Sequence[int] = range(COUNT), **changes: Any
) -> AuditRequest:
    """What a validator asks about a published evaluation."""
    result = published.result
    assert result.synthesiser is not None
    fields = {
        "prompts": SeededPrompts(seed=SEED, count=COUNT),
        "prompts_digest": result.prompts_digest,
        "protocol_digest": result.protocol_digest,
        "result": round_result(result),
        "samples": tuple(PublishedSample.model_validate(s) for s in shown_samples(result)),
        "clips": {index: published.audio / f"{index:05d}.wav" for index in clips},
        "weights_digest": result.synthesiser.weights_digest,
        "asr": AsrSpec(),
        "device": "cpu",
        "max_seconds": MAX_SECONDS,
    }
    return AuditRequest(**{**fields, **changes})


def audit(request: AuditRequest, place: Path) -> AuditReport:
    out = place / "out"
    out.mkdir()
    return run.audit(request, out)


def places(report: AuditReport) -> set[str]:
    return {finding.where for finding in report.findings}


def test_what_an_honest_service_publishes_passes(voice: Evaluated, tmp_path: Path) -> None:
    """Audited as validators do it: by another program."""
    report = run_audit(request_of(voice), tmp_path, python=Path(sys.executable), seconds=240)
    assert report == AuditReport(verdict="passed", message=f"{COUNT} clips scored again")


def flatter(result: dict[str, Any]) -> None:
    """No errors, and all that follows from it."""
    for sample in result["samples"]:
        words = sample["errors"]["words"]
        sample["errors"] = {"substitutions": 0, "deletions": 0, "insertions": 0, "words": words}
    _follow(result)


def humanise(result: dict[str, Any]) -> None:
    """Likelier to be human, and all that follows from it."""
    for sample in result["samples"]:
        sample["human_likeness"] = min(1.0, sample["human_likeness"] + 0.06)
    _follow(result)


def _follow(content: dict[str, Any]) -> None:
    result = TtsResult.model_validate(content)
    for sample in content["samples"]:
        errors = sample["errors"]
        edits = errors["substitutions"] + errors["deletions"] + errors["insertions"]
        sample["wer"] = edits / errors["words"]
        counted = (sample["wer"] - result.human_floor) / (1 - result.human_floor)
        sample["score"] = sample["human_likeness"] * (1 - min(1.0, max(0.0, counted)))
    result = TtsResult.model_validate(content)
    request = TtsRequest(
        synthesiser=ReferenceVoice(name="hibari"), prompts=SeededPrompts(seed=SEED, count=COUNT)
    )
    aggregate = summarise(request, result.samples, floor=result.human_floor)
    content["aggregate"] = aggregate.model_dump(mode="json")


def test_better_transcripts_than_the_audio_supports_fail(
    wrong_text: Evaluated, tmp_path: Path
) -> None:
    report = audit(request_of(doctored(wrong_text, flatter, tmp_path / "lie")), tmp_path)
    assert report.verdict == "failed"
    assert places(report) == {"aggregate.wer", "aggregate.score"}


def test_better_likeness_than_the_audio_supports_fails(voice: Evaluated, tmp_path: Path) -> None:
    quiet = doctored(voice, lambda r: None, tmp_path / "quiet")
    report = audit(request_of(doctored(quiet, humanise, tmp_path / "lie")), tmp_path)
    assert report.verdict == "failed"
    assert any(where.endswith("human_likeness") for where in places(report)), report


def better_score(result: dict[str, Any]) -> None:
    result["aggregate"]["score"] += 0.001


def better_prompt(result: dict[str, Any]) -> None:
    result["samples"][2]["score"] = min(1.0, result["samples"][2]["score"] + 0.001)


def fewer_words(result: dict[str, Any]) -> None:
    result["samples"][1]["errors"]["words"] += 5


@pytest.mark.parametrize(
    ("lie", "where"),
    [
        (better_score, "score"),
        (better_prompt, "prompt_scores.2"),
        (fewer_words, "samples.1.errors.words"),
    ],
)
def test_figures_that_do_not_follow_from_each_other_fail(
    lie: Callable[[dict[str, Any]], None], where: str, wrong_text: Evaluated, tmp_path: Path
) -> None:
    report = audit(request_of(doctored(wrong_text, lie, tmp_path / "lie"), clips=[0]), tmp_path)
    assert report.verdict == "failed"
    assert places(report) == {where}


def test_a_clip_that_is_not_the_one_of_the_digest_fails(voice: Evaluated, tmp_path: Path) -> None:
    lie = doctored(voice, lambda r: None, tmp_path / "lie")
    clip = lie.audio / "00001.wav"
    clip.write_bytes((lie.audio / "00002.wav").read_bytes())
    report = audit(request_of(lie, clips=[1]), tmp_path)
    assert report.verdict == "failed"
    assert "samples.0.audio_digest" in places(report)


def test_bytes_that_are_no_audio_fail(voice: Evaluated, tmp_path: Path) -> None:
    lie = doctored(voice, lambda r: None, tmp_path / "lie")
    (lie.audio / "00002.wav").write_bytes(b"nothing that sounds")
    report = audit(request_of(lie, clips=[2]), tmp_path)
    assert report.verdict == "failed"
    assert "samples.0.outcome" in places(report)


def test_a_model_that_speaks_as_published_passes(
    of_tuned: Evaluated, models: tuple[Path, Path], tmp_path: Path
) -> None:
    # Other prompts beside them change nothing.
    model = ParlerModel(model_dir=models[1])
    report = audit(request_of(of_tuned, clips=[0, 2], model=model), tmp_path)
    assert report.verdict == "passed", report
    assert "spoken again" in report.message


def test_clips_of_the_base_model_in_the_place_of_the_fine_tune_fail(
    of_base: Evaluated, of_tuned: Evaluated, models: tuple[Path, Path], tmp_path: Path
) -> None:
    def of_the_fine_tune(result: dict[str, Any]) -> None:
        result["synthesiser"] = of_tuned.result.model_dump(mode="json")["synthesiser"]

    lie = doctored(of_base, of_the_fine_tune, tmp_path / "lie")
    model = ParlerModel(model_dir=models[1])
    # The clips do support the figures.
    (tmp_path / "without").mkdir()
    assert audit(request_of(lie, clips=[0, 1]), tmp_path / "without").verdict == "passed"
    report = audit(request_of(lie, clips=[0, 1], model=model), tmp_path)
    assert report.verdict == "failed"
    assert "first 0.25 s of clips" in places(report)


def test_a_clip_that_another_machine_spoke_passes(
    of_tuned: Evaluated, models: tuple[Path, Path], tmp_path: Path
) -> None:
    """Equal to what is spoken here, but for rounding: one step of 16 bits in some samples."""

    def rounded(result: dict[str, Any]) -> None:
        for sample in result["samples"]:
            content = bytearray((of_tuned.audio.parent / sample["audio"]).read_bytes())
            for position in range(44, len(content) - 2, 400):
                if content[position] < 255:
                    content[position] += 1
            (tmp_path / Path(sample["audio"]).name).write_bytes(content)
            sample["audio_digest"] = hashlib.sha256(content).hexdigest()

    elsewhere = doctored(of_tuned, rounded, tmp_path / "elsewhere")
    for clip in elsewhere.audio.iterdir():
        clip.write_bytes((tmp_path / clip.name).read_bytes())
    model = ParlerModel(model_dir=models[1])
    report = audit(request_of(elsewhere, clips=[0, 2], model=model), tmp_path)
    assert report.verdict == "passed", report


def test_weights_that_were_not_scored_fail(
    of_tuned: Evaluated, models: tuple[Path, Path], tmp_path: Path
) -> None:
    model = ParlerModel(model_dir=models[0])
    report = audit(request_of(of_tuned, clips=[0], model=model), tmp_path)
    assert (report.verdict, places(report)) == ("failed", {"weights_digest"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol_digest": "0" * 64}, "protocol"),
        ({"prompts_digest": "0" * 64}, "other prompts"),
        ({"max_seconds": 9.0}, "protocol"),
        ({"asr": AsrSpec(model="/nowhere")}, "nowhere"),
    ],
)
def test_what_this_machine_cannot_repeat_blames_nobody(
    changes: dict[str, Any], said: str, voice: Evaluated, tmp_path: Path
) -> None:
    with pytest.raises(ScoringError, match=said) as told:
        audit(request_of(voice, clips=[0], **changes), tmp_path)
    assert told.value.code.fault != "submission"


def test_a_python_without_the_packages_says_how_to_get_them(
    voice: Evaluated, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    for name, python in (("bare", bare / "bin" / "python"), ("none", Path("/no/such/python"))):
        place = tmp_path / f"audit-{name}"
        place.mkdir()
        report = run_audit(request_of(voice, clips=[0]), place, python=python, seconds=60)
        assert report.verdict == "unable"
        assert ".[eval]" in report.message
        assert "--audit_python" in report.message


def test_an_audit_that_takes_too_long_is_ended(voice: Evaluated, tmp_path: Path) -> None:
    report = run_audit(request_of(voice), tmp_path, python=Path(sys.executable), seconds=0.2)
    assert report.verdict == "unable"
    assert "AUDIT_SECONDS" in report.message
