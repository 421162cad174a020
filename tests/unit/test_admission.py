"""The rules of admission, over repositories as the hub's metadata describe them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.admission_rules import (
    MAX_CONFIG_BYTES,
    MAX_DOCUMENTS,
    MAX_FILES,
    RefusedError,
    check_access,
    check_documents,
    check_files,
    check_hash,
    check_revision,
    is_document,
)
from utilities.hub import MAX_REPOSITORY_BYTES, RepoFile, RepoSnapshot
from utilities.model_reference import make_reference
from voice_validation_api.failures import FailureKind, ServiceCode, kind_of
from voice_validation_api.refusals import code_of_refusal

REVISION = "ab" * 20
HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
REFERENCE = make_reference(
    namespace="alice",
    name="voice",
    config_template="default",
    hotkey=HOTKEY,
    competition_id="tts",
)
# As parler-tts-mini-v1 has it.
CONFIG: dict[str, Any] = {
    "model_type": "parler_tts",
    "architectures": ["ParlerTTSForConditionalGeneration"],
    "vocab_size": 32_128,
    "text_encoder": {"model_type": "t5", "d_model": 1_024, "num_layers": 24, "vocab_size": 32_128},
    "decoder": {
        "model_type": "parler_tts_decoder",
        "hidden_size": 1_024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "num_codebooks": 9,
        "vocab_size": 1_088,
    },
    "audio_encoder": {"model_type": "dac", "sampling_rate": 44_100},
}
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"


def file(path: str, size: int = 1_000) -> RepoFile:
    return RepoFile(path=path, size=size, blob_id="cd" * 20, sha256=None)


def repository(*files: RepoFile, private: bool = False, gated: bool = False) -> RepoSnapshot:
    return RepoSnapshot("alice/voice", REVISION, files, private=private, gated=gated)


def documents(**changes: Any) -> dict[str, bytes]:
    return {"config.json": json.dumps({**CONFIG, **changes}).encode()}


def with_index(weight_map: object) -> dict[str, bytes]:
    return {**documents(), INDEX: json.dumps({"weight_map": weight_map}).encode()}


def judge(snapshot: RepoSnapshot, small_files: Mapping[str, bytes] | None = None) -> None:
    """Every rule about a repository, in the order in which admission applies them."""
    check_access(snapshot)
    check_files(snapshot)
    check_documents(
        snapshot, documents() if small_files is None else small_files, competition_id="tts"
    )


def refusal(snapshot: RepoSnapshot, small_files: Mapping[str, bytes] | None = None) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        judge(snapshot, small_files)
    return caught.value


WEIGHTS = file("model.safetensors", 3_500_000_000)
PLAIN = repository(file("config.json"), WEIGHTS)


def test_a_repository_as_published_by_parler_tts_is_admitted() -> None:
    others = ("README.md", ".gitattributes", "spiece.model", "tokenizer.json", "audio/sample.wav")
    judge(repository(*(file(path) for path in others), file("config.json"), WEIGHTS))


def test_a_sharded_model_is_admitted_when_every_shard_is_there() -> None:
    snapshot = repository(file("config.json"), file(INDEX), *(file(shard) for shard in SHARDS))
    judge(snapshot, with_index({"a": SHARDS[0], "b": SHARDS[1]}))


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("modeling_parler.py", "no-code"),
        ("code/deep/RUN.PY", "no-code"),
        ("codec.so", "no-code"),
        ("pytorch_model.bin", "no-pickle"),
        ("optimizer.pt", "no-pickle"),
        ("checkpoint-5/Scheduler.PTH", "no-pickle"),
        ("last.ckpt", "no-pickle"),
        ("voice.pkl", "no-pickle"),
        ("voice.pickle", "no-pickle"),
        ("flax_model.msgpack", "only-safetensors"),
        ("tf_model.h5", "only-safetensors"),
        ("model.onnx", "only-safetensors"),
        ("model.gguf", "only-safetensors"),
        ("old/model.safetensors", "flat-weights"),
    ],
)
def test_a_file_that_no_model_needs_is_refused_by_its_rule(path: str, rule: str) -> None:
    found = refusal(repository(file("config.json"), WEIGHTS, file(path)))
    assert found.rule == rule
    assert code_of_refusal(found.rule) is ServiceCode.MODEL_REFUSED
    assert path in found.detail
    assert found.detail.startswith(f"[{rule}] ")
    assert "Remove it" in found.remedy


@pytest.mark.parametrize(
    ("changes", "rule"),
    [({"private": True}, "repository-public"), ({"gated": True}, "repository-not-gated")],
)
def test_a_repository_that_not_everyone_can_read_is_refused(
    changes: dict[str, bool], rule: str
) -> None:
    found = refusal(replace(PLAIN, **changes))
    assert found.rule == rule
    assert kind_of(code_of_refusal(found.rule)) is FailureKind.REPOSITORY


def test_eighteen_gigabytes_are_admitted_and_a_byte_more_is_refused() -> None:
    room = MAX_REPOSITORY_BYTES - 1_000
    judge(repository(file("config.json"), file("model.safetensors", room)))
    found = refusal(repository(file("config.json"), file("model.safetensors", room + 1)))
    assert found.rule == "repository-size"
    assert f"{MAX_REPOSITORY_BYTES:,}" in found.message


def test_more_files_than_any_model_has_are_refused() -> None:
    clips = [file(f"{number}.wav") for number in range(MAX_FILES)]
    assert refusal(repository(WEIGHTS, *clips)).rule == "file-count"


def test_more_configs_than_admission_reads_are_refused() -> None:
    configs = [file(f"{number}_config.json") for number in range(MAX_DOCUMENTS + 1)]
    assert refusal(repository(WEIGHTS, *configs)).rule == "file-count"


def test_a_config_too_large_to_read_is_refused() -> None:
    huge = repository(file("config.json", MAX_CONFIG_BYTES + 1), WEIGHTS)
    assert refusal(huge).rule == "config-size"


def test_weights_that_are_missing_altogether_are_refused() -> None:
    assert refusal(repository(file("config.json"))).rule == "weights-present"


@pytest.mark.parametrize(
    ("files", "small_files"),
    [
        pytest.param((file("other.safetensors"),), None, id="another name"),
        pytest.param(
            (file("model.safetensors"), file("extra.safetensors")), None, id="more than the model"
        ),
        pytest.param((file("model.safetensors", 9),), None, id="too few bytes for a header"),
        pytest.param(
            (file(INDEX), file(SHARDS[0])),
            with_index({"a": SHARDS[0], "b": SHARDS[1]}),
            id="a shard is missing",
        ),
        pytest.param((file(INDEX), file(SHARDS[0])), with_index({}), id="an empty index"),
        pytest.param((file(INDEX), file(SHARDS[0])), with_index([1]), id="an index that is a list"),
        pytest.param(
            (file(INDEX), file("model.safetensors")),
            with_index({"a": "../../etc/passwd"}),
            id="an index that leads out",
        ),
        pytest.param(
            (file(INDEX), file(SHARDS[0])), with_index({"a": {"b": 1}}), id="an index of objects"
        ),
    ],
)
def test_weights_that_make_no_whole_model_are_refused(
    files: tuple[RepoFile, ...], small_files: dict[str, bytes] | None
) -> None:
    found = refusal(repository(file("config.json"), *files), small_files)
    assert found.rule == "weights-complete"


@pytest.mark.parametrize("path", ["config.json", "tokenizer_config.json", "Generation_Config.JSON"])
def test_an_auto_map_anywhere_in_a_config_is_refused(path: str) -> None:
    assert is_document(path)
    hidden = {**CONFIG, "decoder": {**CONFIG["decoder"], "x": [{"auto_map": {"AutoModel": "m.M"}}]}}
    found = refusal(PLAIN, {**documents(), path: json.dumps(hidden).encode()})
    assert found.rule == "no-auto-map"
    assert path in found.message


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"\xff\xfe{}", b"null", b"[" * 100_000, b'{"a":' * 100_000]
)
def test_a_config_that_is_no_json_object_is_refused(content: bytes) -> None:
    assert refusal(PLAIN, {"config.json": content}).rule == "config-readable"


def test_a_config_nested_deeper_than_python_calls_is_judged_all_the_same() -> None:
    nested = b'{"a":' * 900 + b'{"auto_map":1}' + b"}" * 900
    found = refusal(PLAIN, {**documents(), "deep_config.json": nested})
    assert found.rule in {"no-auto-map", "config-readable"}


def test_a_missing_config_is_refused() -> None:
    assert refusal(PLAIN, {}).rule == "config-present"


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "llama"},
        {"architectures": ["LlamaForCausalLM"]},
        {"architectures": None},
        {"decoder": {**CONFIG["decoder"], "hidden_size": 10**9}},
        {"decoder": {**CONFIG["decoder"], "num_hidden_layers": "24"}},
        {"decoder": {**CONFIG["decoder"], "num_codebooks": 0}},
        {"decoder": "decoder"},
        {"text_encoder": {**CONFIG["text_encoder"], "model_type": "bert"}},
        {"audio_encoder": {"model_type": "encodec", "sampling_rate": 44_100}},
    ],
)
def test_another_architecture_is_refused_with_the_field_that_differs(
    changes: dict[str, Any],
) -> None:
    found = refusal(PLAIN, documents(**changes))
    assert found.rule == "architecture"
    assert next(iter(changes)) in found.message
    assert len(found.detail) < 2_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda values: (
            st.lists(values, max_size=3)
            | st.dictionaries(st.sampled_from([*CONFIG, "auto_map", "weight_map"]), values)
        ),
    )
)
def test_whatever_the_documents_hold_the_answer_is_a_verdict(value: object) -> None:
    content = json.dumps(value).encode()
    assert refusal(PLAIN, {"config.json": content, INDEX: content}).rule


def test_a_right_hash_passes_and_a_wrong_one_is_told_with_the_right_one() -> None:
    check_hash(REFERENCE)
    with pytest.raises(RefusedError, match=REFERENCE.submission_hash) as caught:
        check_hash(replace(REFERENCE, submission_hash="5"))  # type: ignore[arg-type]
    assert caught.value.rule == "submission-hash"


def test_a_hub_that_gives_another_commit_than_asked_for_is_not_believed() -> None:
    check_revision(PLAIN, REFERENCE)
    check_revision(PLAIN, replace(REFERENCE, revision=REVISION))  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match=REVISION) as caught:
        check_revision(PLAIN, replace(REFERENCE, revision="ef" * 20))  # type: ignore[arg-type]
    assert code_of_refusal(caught.value.rule) is ServiceCode.REVISION_NOT_FOUND
