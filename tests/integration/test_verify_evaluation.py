"""An evaluation written down, carried out again, and doctored in between."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from miniatures import edit_tensors

from scoring import entrypoint
from scoring.contract import (
    CtcSpec,
    ListedPrompts,
    ParlerModel,
    Prompt,
    ReferenceVoice,
    TtsRequest,
    TtsResult,
)
from scripts import verify_evaluation
from scripts.make_miniature import make_miniature
from tests.ctc_miniature import make_ctc

ROOT = Path(__file__).parents[2]
PROMPTS = ListedPrompts(
    prompts=(
        Prompt(index=0, text="Did anybody see where the cat went?", description="A calm voice."),
        Prompt(index=1, text="I never said she stole my money.", description="A calm voice."),
    )
)

Doctor = Callable[[dict[str, Any]], None]


def arguments(request: TtsRequest, out: Path) -> list[str]:
    """Those of the evaluator's program."""
    out.mkdir()
    (out / "request.json").write_text(request.model_dump_json(), "utf-8")
    return ["tts", "--out", str(out), "--request", str(out / "request.json")]


def evaluate(request: TtsRequest, out: Path) -> None:
    """As a launcher does it: the evaluator's own program, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "scoring.entrypoint", *arguments(request, out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoint") / "model"
    make_miniature(directory, seed=1)
    return directory


@pytest.fixture(scope="module")
def of_model(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A checkpoint evaluated with two recognisers."""
    directory = tmp_path_factory.mktemp("of_model")
    make_ctc(directory / "ctc")
    request = TtsRequest(
        synthesiser=ParlerModel(model_dir=model, revision="a" * 40),
        prompts=PROMPTS,
        second_asr=CtcSpec(model=str(directory / "ctc")),
        max_seconds=2.0,
    )
    evaluate(request, directory / "first")
    evaluate(request, directory / "second")
    return directory


@pytest.fixture(scope="module")
def of_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("of_voice") / "out"
    request = TtsRequest(synthesiser=ReferenceVoice(name="hibari"), prompts=PROMPTS)
    assert entrypoint.main(arguments(request, out)) == 0
    return out


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def verify(*arguments: str | Path) -> int:
    try:
        return verify_evaluation.main([str(argument) for argument in arguments])
    except SystemExit as usage:
        assert isinstance(usage.code, int)
        return usage.code


def doctor(manifest: Path, change: Doctor, to: Path) -> Path:
    content = json.loads(manifest.read_text("utf-8"))
    change(content)
    to.write_text(json.dumps(content), "utf-8")
    return to


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_same_request_gives_the_same_bytes_but_for_timings(of_model: Path) -> None:
    first, second = of_model / "first", of_model / "second"
    files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert Path("manifest.json") in files
    assert Path("audio/00001.wav") in files

    for name in files:
        one, other = (first / name).read_bytes(), (second / name).read_bytes()
        if name == Path("result.json"):
            one, other = map(without_timings, (one, other))
        assert one == other, name


def without_timings(content: bytes) -> bytes:
    result = TtsResult.model_validate_json(content)
    assert result.timings
    return result.model_copy(update={"timings": {}}).model_dump_json().encode()


def test_result_and_manifest_name_the_same_protocol(of_model: Path) -> None:
    result = json.loads((of_model / "first" / "result.json").read_text("utf-8"))
    manifest = json.loads((of_model / "first" / "manifest.json").read_text("utf-8"))

    assert result["protocol_digest"] == manifest["protocol_digest"]
    assert [r["engine"] for r in manifest["protocol"]["recognisers"]] == ["faster-whisper", "ctc"]
    assert manifest["result"]["synthesiser"]["weights_digest"]
    assert manifest["request"]["synthesiser"]["revision"] == "a" * 40
    assert all(sample["second_transcript"] is not None for sample in result["samples"])


def test_a_checkpoint_agrees_with_itself_wherever_it_lies(
    of_model: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = shutil.copytree(model, tmp_path / "moved")

    assert verify(of_model / "first" / "manifest.json", "--model_dir", moved) == 0
    assert "agree to the last bit" in words(capsys.readouterr().out)


def test_another_checkpoint_does_not_agree(
    of_model: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(model, tmp_path / "other"))
    edit_tensors(other, lambda t: t["decoder.lm_heads.0.weight"].__imul__(-1))

    assert verify(of_model / "first" / "manifest.json", "--model_dir", other) == 1
    assert "weights_digest" in capsys.readouterr().out


def test_published_clips_agree_and_their_weights_are_held_against_a_checkpoint(
    of_model: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(model, tmp_path / "other"))
    edit_tensors(other, lambda t: t["decoder.lm_heads.0.weight"].__imul__(-1))
    published = of_model / "first"
    clips = published / "manifest.json", "--audio", published / "audio"

    assert verify(*clips) == 0
    assert verify(*clips, "--model_dir", model) == 0
    capsys.readouterr()
    assert verify(*clips, "--model_dir", other) == 1
    assert "weights_digest" in capsys.readouterr().out


def transcript(manifest: dict[str, Any]) -> None:
    manifest["result"]["samples"][0]["transcript"] = PROMPTS.prompts[0].text.upper()


def second_transcript_of_one(manifest: dict[str, Any]) -> None:
    manifest["result"]["samples"][0]["second_transcript"] = "a second that never was"


def likeness_with_all_that_follows(manifest: dict[str, Any]) -> None:
    """A liar who recomputes what the lie touches."""
    result = manifest["result"]
    for sample in result["samples"]:
        factor = 1.02
        sample["human_likeness"] *= factor
        sample["score"] *= factor
    aggregate = result["aggregate"]
    for figure in ("score", "human_likeness"):
        aggregate[figure] *= factor
    for bound in ("low", "high"):
        aggregate["interval"][bound] *= factor


def component(manifest: dict[str, Any]) -> None:
    manifest["result"]["samples"][1]["components"]["dnsmos_p808"] += 1e-6


def clip_digest(manifest: dict[str, Any]) -> None:
    manifest["result"]["samples"][1]["audio_digest"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (transcript, "samples.0.transcript"),
        (second_transcript_of_one, "samples.0.second_transcript"),
        (likeness_with_all_that_follows, "samples.0.human_likeness"),
        (component, "samples.1.components.dnsmos_p808"),
        (clip_digest, "samples.1.audio_digest"),
    ],
)
def test_a_doctored_manifest_is_found_out_by_its_clips(
    change: Doctor,
    where: str,
    of_voice: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    doctored = doctor(of_voice / "manifest.json", change, tmp_path / "manifest.json")

    assert verify(doctored, "--audio", of_voice / "audio") == 1
    assert where in capsys.readouterr().out


def test_a_doctored_clip_is_found_out(
    of_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = Path(shutil.copytree(of_voice / "audio", tmp_path / "audio"))
    shutil.copy(clips / "00001.wav", clips / "00000.wav")
    (clips / "00001.wav").unlink()

    assert verify(of_voice / "manifest.json", "--audio", clips) == 1
    shown = capsys.readouterr().out
    assert "samples.0.audio_digest" in shown
    assert "there is no audio file" in words(shown)


def test_a_manifest_cannot_point_out_of_the_directory_of_clips(
    of_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def escape(manifest: dict[str, Any]) -> None:
        manifest["result"]["samples"][0]["audio"] = "../00000.wav"

    clips = Path(shutil.copytree(of_voice / "audio", tmp_path / "audio"))
    (clips / "below").mkdir()
    shutil.copy(clips / "00001.wav", clips / "below" / "00001.wav")
    doctored = doctor(of_voice / "manifest.json", escape, tmp_path / "manifest.json")

    assert verify(doctored, "--audio", clips / "below") == 1
    assert "samples.0.outcome" in capsys.readouterr().out


def test_a_figure_from_another_machine_may_differ_a_little(
    of_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def elsewhere(manifest: dict[str, Any]) -> None:
        manifest["machine"]["processor"] = "another"
        manifest["result"]["samples"][1]["components"]["dnsmos_p808"] += 1e-6

    published = doctor(of_voice / "manifest.json", elsewhere, tmp_path / "manifest.json")

    found = verify(published, "--audio", of_voice / "audio")
    shown = capsys.readouterr().out
    # The mean over samples no longer follows from them; that is no matter of the machine.
    assert found == 1
    assert "another machine" in shown
    assert "aggregate.components.dnsmos_p808" in shown
    assert "samples.1" not in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a manifest"),
        ("{}", "Field required"),
        ('{"manifest": 2}', "manifest"),
    ],
)
def test_what_is_no_manifest_is_the_fault_of_whoever_gave_it(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text(content)

    assert verify(tmp_path / "manifest.json") == 2
    assert said in words(capsys.readouterr().err)
    assert verify(tmp_path / "nowhere.json") == 2


def test_a_place_that_is_not_there_is_named(
    of_voice: Path, of_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(of_voice / "manifest.json", "--audio", "no-such-clips") == 2
    assert "no-such-clips" in capsys.readouterr().err
    assert verify(of_model / "first" / "manifest.json", "--model_dir", "no-such-model") == 2
    assert "no-such-model" in capsys.readouterr().err
    assert verify(of_voice / "manifest.json", "--second_asr", "x") == 2
    assert verify(of_voice / "manifest.json", "--device", "tpu") == 2


def test_a_recogniser_that_is_gone_is_our_fault(
    of_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "ctc"
    make_ctc(broken)
    (broken / "model.safetensors").unlink()
    published = of_model / "first"

    arguments = "--audio", published / "audio", "--second_asr", broken
    assert verify(published / "manifest.json", *arguments) == 3
    assert "model.safetensors" in words(capsys.readouterr().err)


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--help") == 0
    assert "python scripts/verify_evaluation.py manifest.json --audio" in capsys.readouterr().out
