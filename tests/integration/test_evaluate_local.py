"""What a miner sees of a good checkpoint, and of every kind of bad one.

All cases run through the command's ``main`` in one process, which shows that a bad checkpoint
leaves the process usable; the real command line is run once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_helpers import RunningHub, running_hub
from miniatures import Tensors, edit_json, edit_tensors

from scoring.contract import TtsResult
from scripts import evaluate_local
from scripts.make_miniature import MiniatureOptions, make_miniature

HEAD = "decoder.lm_heads.0.weight"
END = 1_024


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("pristine") / "model"
    make_miniature(model, seed=1)
    return model


@pytest.fixture
def model(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "model"))


def run(model: Path, out: Path, *more: str) -> int:
    try:
        return evaluate_local.main(
            ["--model_dir", str(model), "--out", str(out), "--num_prompts", "1", *more]
        )
    except SystemExit as usage:
        assert isinstance(usage.code, int)
        return usage.code


def result(out: Path) -> TtsResult:
    return TtsResult.model_validate_json((out / "result.json").read_bytes())


def test_a_good_checkpoint_gets_a_table_a_total_and_audio(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, tmp_path / "out", "--num_prompts", "2") == 0

    shown = capsys.readouterr().out
    found = result(tmp_path / "out")
    assert "score" in shown and "rehearsal" in shown
    assert found.aggregate is not None and found.aggregate.scored == 2
    assert found.asr is not None and found.asr.rehearsal
    assert found.synthesiser is not None and found.synthesiser.own_assets
    for sample in found.samples:
        assert sample.audio is not None and (tmp_path / "out" / sample.audio).stat().st_size > 1_000


def test_the_same_request_gives_the_same_result_and_the_same_audio(
    model: Path, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        assert run(model, tmp_path / name) == 0

    first, second = (
        result(tmp_path / name).model_copy(update={"timings": {}}) for name in ("first", "second")
    )
    assert first == second
    audio = "audio/00000.wav"
    assert (tmp_path / "first" / audio).read_bytes() == (tmp_path / "second" / audio).read_bytes()


def test_one_changed_tensor_changes_digest_audio_and_figures(model: Path, tmp_path: Path) -> None:
    assert run(model, tmp_path / "before") == 0
    edit_tensors(model, lambda t: t[HEAD].__imul__(-1))
    assert run(model, tmp_path / "after") == 0

    before, after = result(tmp_path / "before"), result(tmp_path / "after")
    assert before.synthesiser and after.synthesiser
    assert before.synthesiser.weights_digest != after.synthesiser.weights_digest
    assert before.samples[0].components != after.samples[0].components
    audio = "audio/00000.wav"
    assert (tmp_path / "before" / audio).read_bytes() != (tmp_path / "after" / audio).read_bytes()


def no_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def truncated(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1_000])


def pickle_instead(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def another_architecture(model: Path) -> None:
    edit_json(model / "config.json", lambda c: c.update(model_type="llama"))


def config_is_not_json(model: Path) -> None:
    (model / "config.json").write_text("{")


def absurd_size(model: Path) -> None:
    edit_json(model / "config.json", lambda c: c["decoder"].update(hidden_size=1 << 30))


def nan_weight(model: Path) -> None:
    def spoil(tensors: Tensors) -> None:
        tensors[HEAD][3, 5] = np.nan

    edit_tensors(model, spoil)


def wrong_shape(model: Path) -> None:
    def spoil(tensors: Tensors) -> None:
        tensors[HEAD] = tensors[HEAD][:-1]

    edit_tensors(model, spoil)


def missing_tensor(model: Path) -> None:
    edit_tensors(model, lambda t: t.pop(HEAD) is None)


def extra_tensor(model: Path) -> None:
    edit_tensors(model, lambda t: t.update(surprise=np.zeros(3, np.float32)))


def remote_code(model: Path) -> None:
    edit_json(model / "config.json", lambda c: c.update(auto_map={"AutoModel": "evil.Model"}))


def no_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_weights, "safetensors"),
        (truncated, "truncated"),
        (pickle_instead, "pickle"),
        (another_architecture, "llama"),
        (config_is_not_json, "config.json"),
        (absurd_size, "hidden_size"),
        (nan_weight, HEAD),
        (wrong_shape, HEAD),
        (missing_tensor, HEAD),
        (extra_tensor, "surprise"),
        (remote_code, "auto_map"),
        (no_tokenizer, "tokenizer"),
    ],
)
def test_a_bad_checkpoint_exits_with_2_and_says_what_is_wrong(
    spoil: Callable[[Path], Any],
    words: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(model)

    assert run(model, tmp_path / "out") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert words in shown
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_model_whose_logits_overflow_has_failed_on_its_prompts(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def spoil(tensors: Tensors) -> None:
        tensors[HEAD] = np.full(tensors[HEAD].shape, 3e38, np.float32)

    edit_tensors(model, spoil)

    assert run(model, tmp_path / "out") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "failed on 1 of 1 prompts" in shown and "finite" in shown


def test_a_model_that_never_ends_is_cut_at_the_cap(model: Path, tmp_path: Path) -> None:
    def spoil(tensors: Tensors) -> None:
        # Layer norm leaves nothing along the vector of ones but its bias: a handle on the end.
        tensors["decoder.model.decoder.layer_norm.bias"][:] = 1.0
        tensors[HEAD][END] = -10.0

    edit_tensors(model, spoil)

    assert run(model, tmp_path / "out") == 0
    sample = result(tmp_path / "out").samples[0]
    assert sample.truncated
    assert sample.seconds is not None and sample.seconds < 31


def test_ids_beyond_the_codebook_never_reach_the_codec(tmp_path: Path) -> None:
    model = tmp_path / "stray"
    make_miniature(model, seed=2, options=MiniatureOptions(stray_ids=True))

    assert run(model, tmp_path / "out") == 0


def test_after_all_that_a_good_checkpoint_still_scores(model: Path, tmp_path: Path) -> None:
    assert run(model, tmp_path / "out") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--num_prompts", "0"], "num_prompts"),
        (["--device", "tpu"], "device"),
        (["--asr", "whisper-gigantic"], "whisper-gigantic"),
        (["--prompts", "no-such.jsonl"], "no-such.jsonl"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str],
    words: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(model, tmp_path / "out", *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_a_full_disk_is_not_blamed_on_the_miner(
    model: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, small_disk / "out") == 3
    assert "space" in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def test_a_repository_is_scored_at_its_pinned_revision(
    hub: RunningHub,
    pristine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {path.name: path.read_bytes() for path in pristine.iterdir()}
    old = hub.publish("model", files)
    hub.publish("model", {"README.md": b"a later commit"})
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.chdir(tmp_path)
    name = ["--repo_namespace", "alice", "--repo_name", "model"]

    assert evaluate_local.main([*name, "--revision", old, "--num_prompts", "1"]) == 0
    manifest = json.loads((tmp_path / "var/evaluate/model/manifest.json").read_text())
    assert manifest["request"]["synthesiser"]["revision"] == old


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repo_name", "nowhere"], "alice/nowhere does not exist"),
        (["--repo_name", "known", "--revision", "f" * 40], "no revision"),
        (["--repo_name", "no..where"], "no..where"),
    ],
)
def test_an_unknown_repository_or_revision_is_named(
    arguments: list[str],
    words: str,
    hub: RunningHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub.publish("known", {"config.json": b"{}"})
    monkeypatch.setenv("HF_ENDPOINT", hub.url)

    assert evaluate_local.main(["--repo_namespace", "alice", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_an_unreachable_hub_is_not_blamed_on_the_miner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    assert evaluate_local.main(["--repo_namespace", "alice", "--repo_name", "model"]) == 3
    assert "hub" in capsys.readouterr().err


def test_the_command_line_works_as_documented(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "scripts/evaluate_local.py", "--model_dir", str(model)]
    done = subprocess.run(
        [*command, "--num_prompts", "1", "--out", str(tmp_path / "out")],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "result.json").read_text())["status"] == "COMPLETED"
    assert run(model, tmp_path / "out", "--repo_name", "x") == 2
