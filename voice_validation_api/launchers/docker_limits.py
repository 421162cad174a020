"""What an evaluator's container may do and use, as arguments of the Docker SDK. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docker.types import DeviceRequest, LogConfig, Mount, Ulimit

from scoring.contract import MAX_PROMPTS
from voice_validation_api.launchers.base import Job
from voice_validation_api.launchers.docker_paths import OUTPUT, REQUEST

UID: Final = 10_001
"""An account that exists nowhere: neither in the image nor, most likely, on the machine."""
PIDS: Final = 1_024
"""Processes and threads. Numeric libraries start one thread per core of the machine or more."""
MEMORY_BYTES: Final = 16 << 30
"""Where the operator sets none; at most three quarters of the machine's."""
TMP_BYTES: Final = 1 << 30
TMP_FILES: Final = 20_000
OUTPUT_FILES: Final = 2 * MAX_PROMPTS
OUTPUT_SLACK: Final = 1 << 20
"""The output may grow past its limit by this much, so that reaching the limit can be seen."""
LOG_FILES: Final = 2
LOG_FILE_BYTES: Final = 1 << 20
KEEPER_MEMORY_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Place:
    """Where one evaluation takes place: names and paths are the engine's."""

    image: str
    volume: str
    request: Path
    inputs: tuple[tuple[Path, str], ...]
    labels: Mapping[str, str]


def evaluator_arguments(job: Job, place: Place, *, machine_memory: int) -> dict[str, Any]:
    """For ``containers.create``: the evaluator of ``job``.

    What it writes is kept in memory and counts as its own; the output, which the caller sized,
    is therefore added to the limit of memory.
    """
    limit = job.limits.memory_bytes or min(MEMORY_BYTES, machine_memory * 3 // 4)
    memory = limit + job.limits.output_bytes
    inputs = ((place.request, str(REQUEST)), *place.inputs)
    return {
        **_confined(place, memory=memory, pids=PIDS),
        "command": [job.competition_id, "--request", str(REQUEST), "--out", str(OUTPUT)],
        "environment": {
            "HOME": "/tmp",  # noqa: S108 - in the container, where nobody else is
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": str(job.threads),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        "nano_cpus": job.threads * 10**9,
        "tmpfs": {"/tmp": _tmpfs(TMP_BYTES, TMP_FILES, mode="1777")},  # noqa: S108 - as above
        "mounts": [
            _output(place, read_only=False),
            *(Mount(target, str(path), "bind", read_only=True) for path, target in inputs),
        ],
        "device_requests": [] if job.gpu is None else [_gpu(job.gpu)],
    }


def keeper_arguments(job: Job, place: Place) -> dict[str, Any]:
    """For ``containers.create``: what holds the output in memory while the evaluator is over.

    Memory-backed volumes last only as long as a container that has them mounted runs.
    """
    seconds = int(job.limits.wall_seconds) + 3_600
    return {
        **_confined(place, memory=KEEPER_MEMORY_BYTES, pids=4),
        "entrypoint": ["sleep", str(seconds)],
        "mounts": [_output(place, read_only=True)],
    }


def volume_arguments(job: Job, place: Place) -> dict[str, Any]:
    """For ``volumes.create``: the output, bounded in bytes and in files."""
    size = job.limits.output_bytes + OUTPUT_SLACK
    # One more than is allowed, so that too many can be seen; and the directory itself.
    options = f"{_tmpfs(size, OUTPUT_FILES + 2, mode='0700')},uid={UID},gid={UID}"
    return {
        "name": place.volume,
        "driver": "local",
        "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": options},
        "labels": dict(place.labels),
    }


def _confined(place: Place, *, memory: int, pids: int) -> dict[str, Any]:
    return {
        "image": place.image,
        "labels": dict(place.labels),
        "user": f"{UID}:{UID}",
        "network_mode": "none",
        "hostname": "evaluator",
        "ipc_mode": "private",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": pids,
        "mem_limit": memory,
        "memswap_limit": memory,  # the same: no swap
        "shm_size": 64 << 20,
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "log_config": LogConfig(
            type="json-file",
            config={"max-size": str(LOG_FILE_BYTES), "max-file": str(LOG_FILES)},
        ),
    }


def _output(place: Place, *, read_only: bool) -> Mount:
    return Mount(str(OUTPUT), place.volume, "volume", read_only=read_only, no_copy=True)


def _gpu(number: int) -> DeviceRequest:
    return DeviceRequest(
        driver="nvidia", device_ids=[str(number)], capabilities=[["gpu", "compute", "utility"]]
    )


def _tmpfs(size: int, files: int, *, mode: str) -> str:
    return f"size={size},nr_inodes={files},mode={mode},noexec,nosuid,nodev"
