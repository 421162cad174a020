"""How much memory an audit may take: what its model needs, and never all of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scoring.audit.records import AuditRequest

LEAST_BYTES: Final = 512 << 20
"""What the packages take before anything is loaded, and a little. With less no audit is begun: some
libraries wait for ever for the memory that they begin with."""
BASE_BYTES: Final = 8 << 30
"""For all but the model: packages, recognisers, metrics, CUDA. With Whisper tiny.en and a miniature
an audit took 1.0 GiB on a processor; larger recognisers have up to 3 GiB of weights, and what CUDA
asks of the processor's memory was not measured."""
MODEL_FACTOR: Final = 16
"""So many times the size of the model's files: in float32, mapped and converted, with the caches of
all prompts that are spoken at a time."""
MACHINE_SHARE: Final = 0.75
"""The rest is for the validator, and for whatever else the machine is there for."""

_NO_LIMIT: Final = 1 << 62


def memory_limit(request: AuditRequest, machine_bytes: int) -> int:
    """Bytes that the audit may take on a machine with so many."""
    needed = BASE_BYTES + MODEL_FACTOR * _model_bytes(request)
    return min(needed, int(machine_bytes * MACHINE_SHARE))


def machine_bytes(
    meminfo: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup/memory.max")
) -> int:
    """The memory of this machine, or of the container that this is. Raises OSError."""
    lines = meminfo.read_text("ascii").splitlines()
    total = next((line.split()[1] for line in lines if line.startswith("MemTotal:")), None)
    if total is None:
        raise OSError(f"{meminfo} does not state MemTotal")
    return min(int(total) * 1_024, _group_limit(group))


def _group_limit(path: Path) -> int:
    try:
        limit = path.read_text("ascii").strip()
    except OSError:
        return _NO_LIMIT
    return int(limit) if limit.isdecimal() else _NO_LIMIT


def _model_bytes(request: AuditRequest) -> int:
    if request.model is None:
        return 0
    places = [request.model.model_dir, request.model.base_dir]
    return sum(
        file.stat().st_size
        for place in places
        if place is not None
        for file in place.rglob("*.safetensors")
    )
