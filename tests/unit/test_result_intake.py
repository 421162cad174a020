"""Whatever an evaluator leaves behind is refused unless it holds what the contract says."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.contract import (
    ListedPrompts,
    Prompt,
    ReferenceVoice,
    SeededPrompts,
    TtsRequest,
    TtsResult,
)
from voice_validation_api.result_intake import (
    MAX_AUDIO_BYTES,
    MAX_RESULT_BYTES,
    InvalidResultError,
    MissingResultError,
    clips_of,
    read_protocol,
    read_result,
)

VOICE = ReferenceVoice(name="hibari")
REQUEST = TtsRequest(synthesiser=VOICE, prompts=SeededPrompts(seed="s", count=2))
Json = dict[str, Any]


def sound_result() -> Json:
    """Two prompts: one scored, one not."""

    def sample(index: int) -> Json:
        return {
            "prompt": {
                "index": index,
                "text": "One two.",
                "description": "A calm voice.",
                "emotion": "neutral",
                "speaker": "",
            },
            "outcome": "unscored",
            "reason": "silence",
            "errors": {"substitutions": 0, "deletions": 2, "insertions": 0, "words": 2},
        }

    scored = sample(0) | {
        "outcome": "scored",
        "reason": None,
        "audio": "audio/00000.wav",
        "audio_digest": hashlib.sha256(b"RIFF").hexdigest(),
        "seconds": 1.5,
        "transcript": "one two",
        "errors": {"substitutions": 0, "deletions": 0, "insertions": 0, "words": 2},
        "wer": 0.0,
        "human_likeness": 0.5,
        "score": 0.5,
        "components": {"gate": 1.0},
    }
    return {
        "contract": 1,
        "competition_id": "tts",
        "status": "COMPLETED",
        "synthesiser": {"kind": "voice", "name": "hibari"},
        "asr": {
            "engine": "faster-whisper",
            "model": "packaged",
            "version": "1",
            "digest": "a" * 64,
            "rehearsal": True,
        },
        "prompts_digest": "b" * 64,
        "protocol_digest": "c" * 64,
        "aggregate": {
            "score": 0.125,
            "interval": {"low": 0.1, "high": 0.2},
            "wer": 0.5,
            "human_likeness": 0.25,
            "scored": 1,
            "unscored": 1,
        },
        "samples": [scored, sample(1)],
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An evaluator's output directory with its one clip."""
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "00000.wav").write_bytes(b"RIFF")
    return tmp_path


def write(out: Path, result: Json) -> None:
    (out / "result.json").write_text(json.dumps(result))


def test_a_sound_result_is_read_and_its_clip_found(out: Path) -> None:
    write(out, sound_result())
    result = read_result(out, REQUEST)
    assert result.aggregate is not None
    assert result.aggregate.score == 0.125
    assert clips_of(out, result) == {"audio/00000.wav": out / "audio" / "00000.wav"}


def test_a_result_survives_its_own_serialisation(out: Path) -> None:
    parsed = TtsResult.model_validate(sound_result())
    (out / "result.json").write_text(parsed.model_dump_json())
    assert read_result(out, REQUEST) == parsed


def test_a_failure_is_read(out: Path) -> None:
    failure = {"code": 205, "message": "no lm_heads", "remedy": ""}
    write(out, {"status": "FAILED", "failure": failure})
    result = read_result(out, REQUEST)
    assert result.failure is not None
    assert result.failure.code == 205


def test_no_result_is_told_from_a_wrong_one(out: Path) -> None:
    with pytest.raises(MissingResultError):
        read_result(out, REQUEST)


def put(*path: str | int, value: object) -> Callable[[Json], None]:
    """A change that sets the field at ``path``."""

    def change(result: Any) -> None:
        for step in path[:-1]:
            result = result[step]
        result[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put("contract", value=2), "contract"),
        (put("surprise", value=1), "surprise"),
        (put("status", value="RUNNING"), "status"),
        (put("aggregate", "score", value=float("nan")), "aggregate.score"),
        (put("aggregate", "wer", value=float("inf")), "aggregate.wer"),
        (put("aggregate", "score", value=1.5), "aggregate.score"),
        (put("aggregate", "score", value="0.125"), "aggregate.score"),
        (put("aggregate", "scored", value=True), "aggregate.scored"),
        (put("samples", 0, "components", "gate", value=float("nan")), "components.gate"),
        (put("timings", value={"speak": float("-inf")}), "timings.speak"),
        (put("aggregate", value=None), "without aggregate"),
        (put("asr", value=None), "without aggregate or asr"),
        (put("protocol_digest", value=None), "without the digests"),
        (put("prompts_digest", value=None), "without the digests"),
        (put("samples", 0, "audio_digest", value="0" * 64), "does not have its digest"),
        (put("synthesiser", value=None), "synthesiser"),
        (put("failure", value={"code": 300, "message": "x"}), "with a failure"),
        (put("samples", 0, "score", value=None), "without a score"),
        (put("samples", 0, "outcome", value="unscored"), "counts other samples"),
        (put("aggregate", "interval", "low", value=0.15), "outside its interval"),
        (put("aggregate", "wer", value=0.4), "not that of the samples"),
        (put("samples", value=[]), "not those asked for"),
        (put("samples", 1, "prompt", "index", value=7), "not those asked for"),
        (put("samples", 1, "prompt", "index", value=0), "not those asked for"),
        (put("samples", 1, "audio", value="audio/00000.wav"), "share one clip"),
        (put("samples", 0, "audio", value="audio/missing.wav"), "is not there"),
        (put("samples", 0, "audio", value="../outside.wav"), "not below"),
        (put("samples", 0, "audio", value="/etc/passwd.wav"), "not below"),
        (put("samples", 0, "audio", value="result.json"), "no WAV"),
        (put("samples", 0, "audio", value="a\0.wav"), "not below"),
        (put("samples", 0, "audio", value="x" * 250 + ".wav"), "is not there|audio"),
        (put("warnings", value=["x" * 2_000]), "too long"),
        (put("warnings", value=["x"] * 2_000), "too many"),
        (put("timings", value={str(n): 0.0 for n in range(100)}), "too many"),
    ],
)
def test_a_result_that_makes_no_sense_is_refused(
    out: Path, change: Callable[[Json], None], told: str
) -> None:
    result = sound_result()
    change(result)
    write(out, result)
    with pytest.raises(InvalidResultError, match=told):
        read_result(out, REQUEST)


def test_listed_prompts_must_come_back_as_they_were(out: Path) -> None:
    prompts = tuple(
        Prompt(index=index, text="One two.", description="A calm voice.") for index in range(2)
    )
    write(out, sound_result())
    read_result(out, TtsRequest(synthesiser=VOICE, prompts=ListedPrompts(prompts=prompts)))
    others = (prompts[0], prompts[1].model_copy(update={"text": "Three."}))
    with pytest.raises(InvalidResultError, match="not those asked for"):
        read_result(out, TtsRequest(synthesiser=VOICE, prompts=ListedPrompts(prompts=others)))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1e999", b"null"])
def test_what_is_no_json_object_is_refused(out: Path, content: bytes) -> None:
    (out / "result.json").write_bytes(content)
    with pytest.raises(InvalidResultError):
        read_result(out, REQUEST)


def test_a_huge_result_is_refused_unread(out: Path) -> None:
    with (out / "result.json").open("wb") as file:
        file.truncate(MAX_RESULT_BYTES + 1)
    with pytest.raises(InvalidResultError, match="exceeds"):
        read_result(out, REQUEST)


def test_a_link_for_a_result_is_refused(out: Path) -> None:
    (out / "elsewhere.json").write_text(json.dumps(sound_result()))
    (out / "result.json").symlink_to("elsewhere.json")
    with pytest.raises(InvalidResultError, match="cannot be read"):
        read_result(out, REQUEST)


def test_a_pipe_or_directory_for_a_result_is_refused(out: Path) -> None:
    os.mkfifo(out / "result.json")
    with pytest.raises(InvalidResultError, match="no ordinary file"):
        read_result(out, REQUEST)
    (out / "result.json").unlink()
    (out / "result.json").mkdir()
    with pytest.raises(InvalidResultError, match="no ordinary file"):
        read_result(out, REQUEST)


@pytest.mark.parametrize("linked", ["audio/00000.wav", "audio"])
def test_a_link_on_the_way_to_a_clip_is_refused(out: Path, linked: str) -> None:
    target = (out / linked).rename(out / "moved")
    (out / linked).symlink_to(target)
    write(out, sound_result())
    with pytest.raises(InvalidResultError, match=r"link|no ordinary file"):
        read_result(out, REQUEST)


def test_a_huge_clip_is_refused(out: Path) -> None:
    with (out / "audio" / "00000.wav").open("wb") as file:
        file.truncate(MAX_AUDIO_BYTES + 1)
    write(out, sound_result())
    with pytest.raises(InvalidResultError, match="bytes"):
        read_result(out, REQUEST)


def test_a_replaced_output_directory_is_refused(out: Path, tmp_path: Path) -> None:
    write(out, sound_result())
    link = tmp_path / "link"
    link.symlink_to(out)
    with pytest.raises(InvalidResultError, match="replaced"):
        read_result(link, REQUEST)


PROTOCOL: Json = {"code": {"engine": "e" * 64}, "human_floor": 0.031, "max_seconds": 30.0}
RECORD = json.dumps(PROTOCOL, sort_keys=True, separators=(",", ":"))
PROTOCOL_DIGEST = hashlib.sha256(RECORD.encode()).hexdigest()


def test_the_protocol_of_the_manifest_is_read_as_canonical_text(out: Path) -> None:
    manifest = {"manifest": 1, "protocol": PROTOCOL, "request": {}}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1))
    assert read_protocol(out, PROTOCOL_DIGEST) == RECORD
    with pytest.raises(InvalidResultError, match="another protocol"):
        read_protocol(out, "0" * 64)
    with pytest.raises(InvalidResultError, match="another protocol"):
        read_protocol(out, None)


def test_without_a_manifest_nothing_is_known_of_the_protocol(out: Path) -> None:
    assert read_protocol(out, PROTOCOL_DIGEST) is None


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"protocol": 7}', '{"protocol": ' + '{"a":' * 5_000, '{"protocol": {"a": "'],
)
def test_a_manifest_of_something_else_is_refused(out: Path, content: str) -> None:
    (out / "manifest.json").write_text(content)
    with pytest.raises(InvalidResultError, match=r"manifest\.json"):
        read_protocol(out, PROTOCOL_DIGEST)


def test_a_protocol_without_end_is_refused(out: Path) -> None:
    (out / "manifest.json").write_text(json.dumps({"protocol": {"a": "x" * 70_000}}))
    with pytest.raises(InvalidResultError, match="too long"):
        read_protocol(out, PROTOCOL_DIGEST)
