"""What an audit may take of the machine's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurons.validator_audit_memory import (
    BASE_BYTES,
    MACHINE_SHARE,
    MODEL_FACTOR,
    machine_bytes,
    memory_limit,
)
from scoring.audit.records import AuditRequest, PublishedSample, tells_of_memory
from scoring.competition import RoundResult
from scoring.contract import AsrSpec, Interval, ParlerModel, SeededPrompts

HUGE = 1 << 50
GIB = 1 << 30


def request_of(*places: Path) -> AuditRequest:
    """An audit whose model lies in the first place, and its base model in the second."""
    model_dir, base_dir = (*places, None, None)[:2]
    return AuditRequest(
        prompts=SeededPrompts(seed="s", count=1),
        prompts_digest="0" * 64,
        protocol_digest="0" * 64,
        result=RoundResult(
            score=0.5, interval=Interval(low=0.4, high=0.6), wer=0.5, human_likeness=0.5
        ),
        samples=(PublishedSample(prompt_index=0, outcome="unscored"),),
        clips={0: Path("clip.wav")},
        model=None if model_dir is None else ParlerModel(model_dir=model_dir, base_dir=base_dir),
        asr=AsrSpec(),
        device="cpu",
        max_seconds=30.0,
    )


def test_without_a_model_the_rest_has_its_room() -> None:
    assert memory_limit(request_of(), HUGE) == BASE_BYTES


def test_a_model_has_room_by_the_size_of_all_its_files(tmp_path: Path) -> None:
    model, base = tmp_path / "model", tmp_path / "base"
    for path, size in (
        (model / "model-1.safetensors", 1_000),
        (model / "deep" / "model-2.safetensors", 200),
        (model / "notes.txt", 50_000),
        (base / "model.safetensors", 30),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    assert memory_limit(request_of(model), HUGE) == BASE_BYTES + MODEL_FACTOR * 1_200
    assert memory_limit(request_of(model, base), HUGE) == BASE_BYTES + MODEL_FACTOR * 1_230


def test_the_machine_keeps_its_own(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(18 * 10**9)
    assert memory_limit(request_of(tmp_path), 24 * GIB) == int(24 * GIB * MACHINE_SHARE)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, 24 * GIB), ("max", 24 * GIB), (str(2 * GIB), 2 * GIB), (str(99 * GIB), 24 * GIB)],
)
def test_a_container_is_as_large_as_its_limit(
    tmp_path: Path, limit: str | None, expected: int
) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "memory.max"
    meminfo.write_text(f"MemTotal:       {24 * GIB // 1024} kB\nMemFree:        1 kB\n")
    if limit is not None:
        group.write_text(f"{limit}\n")
    assert machine_bytes(meminfo, group) == expected


def test_this_machine_has_some() -> None:
    assert machine_bytes() > 2**28


@pytest.mark.parametrize(
    "said",
    [
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried",
        "cannot read the weights in x: [Errno 12] Cannot allocate memory",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "OpenBLAS error: Memory allocation still failed after 10 retries, giving up.",
        "RuntimeError: can't start new thread",
    ],
)
def test_what_packages_say_of_memory_is_understood(said: str) -> None:
    assert tells_of_memory(said)
    assert not tells_of_memory("the round was scored under protocol 0")
