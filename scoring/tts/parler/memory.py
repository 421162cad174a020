"""Memory counted before it is allocated: what a model and its requests need, and what there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.parler.config import ParlerConfig, approximate_parameters
from scoring.tts.parler.fields import too_large
from scoring.tts.parler.generate import Room
from scoring.tts.parler.settings import GenerationSettings
from scoring.tts.parler.tokenizer import MAX_TOKENS

# Caches of one request of the greatest length. A model of four times mini v1's size keeps below.
MAX_REQUEST_BYTES = 4 << 30
# The part of a device's whole memory that an engine takes at most unless told otherwise. What a
# CPU has is not all for us.
_SHARE = {"cpu": 0.5, "cuda": 0.9}
_FLOAT = 4
# Arrays of a step that hold one number per logit at a time: the logits, what sampling makes of
# them in float32 and, as two of these, in float64.
_LOGIT_ARRAYS = 6
_HIDDEN_ARRAYS = 8
_GIB = 1 << 30


def weights_bytes(config: ParlerConfig) -> int:
    """Bytes of a loaded model in float32."""
    return _FLOAT * approximate_parameters(config)


def cache_bytes(config: ParlerConfig, room: Room) -> int:
    """Bytes of the self- and cross-attention caches with the given room."""
    decoder = config.decoder
    own = decoder.num_key_value_heads * (room.slots + 1) * room.positions
    cross = decoder.num_cross_attention_key_value_heads * room.memories * room.heard
    return 2 * room.number_bytes * decoder.num_hidden_layers * decoder.head_dim * (own + cross)


def activation_bytes(config: ParlerConfig, room: Room) -> int:
    """Bytes that come and go while decoding: the widest moment of a step or of a first pass."""
    decoder = config.decoder
    logits = _LOGIT_ARRAYS * decoder.num_codebooks * decoder.vocab_size
    wide = _HIDDEN_ARRAYS * decoder.hidden_size + 2 * decoder.ffn_dim
    # Cross-attention keys and values are gathered for each slot if they differ.
    kv_heads = decoder.num_cross_attention_key_value_heads
    heard = 2 * kv_heads * decoder.head_dim * room.heard if room.memories > 1 else 0
    step = room.slots * (logits + wide + room.positions + heard)
    tokens = min(room.positions, MAX_TOKENS)
    first_pass = tokens * (wide + tokens)
    return _FLOAT * max(step, first_pass)


def greatest_room(
    config: ParlerConfig, settings: GenerationSettings, slots: int, number_bytes: int
) -> Room:
    """Room for any requests that the texts' and the settings' limits allow."""
    heard = MAX_TOKENS * (2 if config.prompt_cross_attention else 1)
    return Room(slots, MAX_TOKENS + settings.max_length, slots, heard, number_bytes)


def most_slots(
    config: ParlerConfig,
    settings: GenerationSettings,
    *,
    limit: int,
    candidates: tuple[int, ...],
    number_bytes: int,
) -> int:
    """The greatest of the ascending ``candidates`` with which any requests fit into ``limit``
    bytes, weights included, when caches hold numbers of ``number_bytes``.

    Raises ScoringError: CONFIG_TOO_LARGE if a single request's caches are absurd, else
    OUT_OF_MEMORY if not even the least candidate fits.
    """
    single = cache_bytes(config, greatest_room(config, settings, 1, number_bytes))
    if single > MAX_REQUEST_BYTES:
        raise too_large(
            f"one request could need {single / _GIB:.1f} GiB of attention cache at "
            f"{settings.max_length} columns, more than {MAX_REQUEST_BYTES / _GIB:.0f} GiB"
        )
    rooms = [greatest_room(config, settings, slots, number_bytes) for slots in candidates]
    needs = [_whole(config, room) for room in rooms]
    if needs[0] > limit:
        raise _too_little(
            f"the model and {candidates[0]} requests at a time", needs[0], limit, "may be used"
        )
    return max(slots for slots, need in zip(candidates, needs, strict=True) if need <= limit)


def check_free(need: int, purpose: str, device: torch.device) -> None:
    """Raise ScoringError (OUT_OF_MEMORY) unless ``need`` bytes are free for ``purpose``."""
    free = free_bytes(device)
    if need > free:
        raise _too_little(purpose, need, free, "are free")


def default_limit(device: torch.device) -> int:
    """How much of the device's memory an engine may use, however much of it is free."""
    if device.type == "cuda":
        total = torch.cuda.mem_get_info(device)[1]
    else:
        total = min(_meminfo("MemTotal"), _cgroup_limit())
    return int(total * _SHARE[device.type])


def free_bytes(device: torch.device) -> int:
    """How much memory an allocation could get now."""
    if device.type == "cuda":
        # What torch has reserved and does not use is free for it too.
        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserve
    return _meminfo("MemAvailable")


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn torch's ways of running out of memory into ScoringError (OUT_OF_MEMORY)."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU torch raises a bare RuntimeError that only its text tells apart.
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not known and "allocate memory" not in str(error):
            raise
        raise ScoringError(
            FailureCode.OUT_OF_MEMORY,
            f"the device ran out of memory: {error}",
            "Evaluate on a machine with more memory.",
        ) from error


def _whole(config: ParlerConfig, room: Room) -> int:
    return weights_bytes(config) + cache_bytes(config, room) + activation_bytes(config, room)


def _too_little(purpose: str, need: int, have: int, of_which: str) -> ScoringError:
    return ScoringError(
        FailureCode.OUT_OF_MEMORY,
        f"{purpose} need {need / _GIB:.2f} GiB of memory, {have / _GIB:.2f} GiB {of_which}",
        "Evaluate on a machine with more memory.",
    )


def _meminfo(name: str) -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1_024
    raise ScoringError(FailureCode.EVALUATOR_ERROR, f"/proc/meminfo does not state {name}")


def _cgroup_limit() -> int:
    """The limit that a container runs under, or more than any machine has."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return 1 << 62
    return int(limit) if limit.isdecimal() else 1 << 62
