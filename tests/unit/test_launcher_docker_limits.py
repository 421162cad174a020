"""What the engine is asked for. A GPU is asked for here only: no engine with one was at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoring.contract import MAX_PROMPTS, ReferenceVoice, SeededPrompts, TtsRequest
from voice_validation_api.launchers.base import Job, Limits
from voice_validation_api.launchers.docker_limits import (
    MEMORY_BYTES,
    OUTPUT_FILES,
    Place,
    evaluator_arguments,
    keeper_arguments,
    volume_arguments,
)

REQUEST = TtsRequest(
    synthesiser=ReferenceVoice(name="hibari"), prompts=SeededPrompts(seed="s", count=1)
)
PLACE = Place(
    image="speech",
    volume="out-1",
    request=Path("/work/request.json"),
    inputs=((Path("/work/model"), "/in/model"),),
    labels={"a": "b"},
)
GIGABYTE = 1 << 30


def job(memory: int | None = GIGABYTE, gpu: int | None = None) -> Job:
    return Job("tts", REQUEST, Path("/work"), Limits(60.0, 10_000_000, memory), gpu, threads=3)


def arguments(of: Job | None = None, machine_memory: int = 64 * GIGABYTE) -> dict[str, Any]:
    return evaluator_arguments(of or job(), PLACE, machine_memory=machine_memory)


@pytest.mark.parametrize("made", [arguments(), keeper_arguments(job(), PLACE)])
def test_containers_have_no_rights_no_network_and_no_root(made: dict[str, Any]) -> None:
    assert made["network_mode"] == "none"
    assert made["read_only"] is True
    assert made["cap_drop"] == ["ALL"]
    assert made["security_opt"] == ["no-new-privileges"]
    assert made["user"] == "10001:10001"
    assert made["mem_limit"] == made["memswap_limit"]
    assert made["pids_limit"] <= 1024
    assert made["labels"] == PLACE.labels
    assert "privileged" not in made
    assert dict(made["log_config"])["Config"] == {"max-size": "1048576", "max-file": "2"}


def test_everything_but_the_output_is_mounted_read_only() -> None:
    mounts = {mount["Target"]: mount for mount in arguments()["mounts"]}
    assert set(mounts) == {"/out", "/in/request.json", "/in/model"}
    assert [target for target, mount in mounts.items() if not mount["ReadOnly"]] == ["/out"]
    assert mounts["/in/model"]["Source"] == "/work/model"
    assert mounts["/out"]["Type"] == "volume"


def test_the_environment_is_known_word_for_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert arguments()["environment"] == {
        "HOME": "/tmp",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "3",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert "environment" not in keeper_arguments(job(), PLACE)


def test_the_processor_is_bounded_by_the_jobs_threads() -> None:
    assert arguments()["nano_cpus"] == 3_000_000_000


def test_output_is_kept_in_memory_and_adds_to_its_limit() -> None:
    assert arguments()["mem_limit"] == GIGABYTE + 10_000_000


@pytest.mark.parametrize(
    ("machine", "limit"), [(8 * GIGABYTE, 6 * GIGABYTE), (512 * GIGABYTE, MEMORY_BYTES)]
)
def test_memory_is_bounded_where_nobody_bounds_it(machine: int, limit: int) -> None:
    made = arguments(job(memory=None), machine_memory=machine)
    assert made["mem_limit"] == limit + 10_000_000


def test_without_a_gpu_no_device_is_asked_for() -> None:
    assert arguments()["device_requests"] == []


def test_exactly_the_jobs_gpu_is_asked_for() -> None:
    (request,) = arguments(job(gpu=3))["device_requests"]
    assert dict(request) == {
        "Driver": "nvidia",
        "Count": 0,
        "DeviceIDs": ["3"],
        "Capabilities": [["gpu", "compute", "utility"]],
        "Options": {},
    }


def test_the_output_is_bounded_in_bytes_and_files_and_runs_nothing() -> None:
    made = volume_arguments(job(), PLACE)
    options = set(made["driver_opts"]["o"].split(","))
    assert made["driver_opts"]["type"] == "tmpfs"
    assert {"noexec", "nosuid", "nodev", "uid=10001", "mode=0700"} <= options
    assert f"size={10_000_000 + (1 << 20)}" in options
    assert f"nr_inodes={OUTPUT_FILES + 2}" in options
    assert OUTPUT_FILES > MAX_PROMPTS


def test_the_keeper_ends_by_itself_some_time_after_the_evaluation() -> None:
    command, seconds = keeper_arguments(job(), PLACE)["entrypoint"]
    assert command == "sleep"
    assert 60 < int(seconds) < 10_000
