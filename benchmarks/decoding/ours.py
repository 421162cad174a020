"""Our engine's side: tokens per second, and in a fresh process the cold start and peak memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from transformers import DacModel, T5EncoderModel  # noqa: F401 - imports are not counted

from benchmarks.decoding.on_device import Decoding
from benchmarks.decoding.reference import Timing
from scoring.tts.parler import ParlerEngine, SpeakRequest
from scoring.tts.parler.config import load_config
from scoring.tts.parler.generate import Room
from scoring.tts.parler.memory import cache_bytes
from scoring.tts.parler.settings import load_settings
from scoring.tts.parler.tokenizer import Tokenizer
from scripts.make_miniature import make_miniature

ROOT = Path(__file__).parents[2]
_MIB = 1 << 20


def greedy(engine: ParlerEngine, prompts: Sequence[str], description: str) -> Timing:
    """Speak the prompts side by side, without the codec."""
    started, cpu_started = time.perf_counter(), time.process_time()
    generated = engine.greedy(prompts, description)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return Timing(seconds, cpu_seconds, tuple(one.columns for one in generated))


def cold_start(model_dir: Path, prompts: Sequence[str], description: str) -> dict[str, float]:
    """What fresh processes need from safetensors to a ready model, to the end of the first step
    after the text's own pass, and to the first sound, imports not counted."""
    return {
        **_in_fresh_process("cold_start", model_dir, prompts, description),
        **_in_fresh_process("first_step", model_dir, prompts, description),
    }


def memory(model_dir: Path, prompts: Sequence[str], description: str) -> dict[str, float]:
    """The peak memory of loading and of speaking all prompts side by side, in MiB.

    The libraries' own is not counted: a miniature has used them before. Pages of the checkpoint
    that are mapped at the time are.
    """
    return _in_fresh_process("memory", model_dir, prompts, description)


def _in_fresh_process(
    figure: str, model_dir: Path, prompts: Sequence[str], description: str
) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.decoding.ours"]
    done = subprocess.run(
        [*command, figure, str(model_dir), description, *prompts],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _cold_start(model_dir: Path, description: str, prompts: list[str]) -> dict[str, float]:
    started = time.perf_counter()
    engine = ParlerEngine.load(model_dir, device="cpu")
    loaded = time.perf_counter()
    next(engine.stream(SpeakRequest(prompts[0], description, seed=0, max_seconds=30)))
    return {
        "load_seconds": loaded - started,
        "first_sound_seconds": time.perf_counter() - started,
    }


def _first_step(model_dir: Path, _description: str, _prompts: list[str]) -> dict[str, float]:
    started = time.perf_counter()
    # The start column, the one that the text's pass chooses, and the one that the step does.
    Decoding.load(model_dir, "cpu").seconds(1, 3)
    return {"first_step_seconds": time.perf_counter() - started}


def _memory(model_dir: Path, description: str, prompts: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        make_miniature(Path(scratch), seed=0)
        ParlerEngine.load(Path(scratch), device="cpu").greedy(prompts, description)
    resident = _status("VmRSS")
    # Writing 5 makes the kernel forget the peak so far; see proc(5).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    ParlerEngine.load(model_dir, device="cpu").greedy(prompts, description)
    return {
        "peak_mib": (_status("VmHWM") - resident) / _MIB,
        "weights_and_cache_mib": _weights_and_cache(model_dir, description, prompts) / _MIB,
    }


def _weights_and_cache(model_dir: Path, description: str, prompts: list[str]) -> int:
    """The least bytes that speaking all prompts side by side takes."""
    config = load_config(model_dir)
    tokenizer = Tokenizer(model_dir, config.prompt_vocab_size)
    columns = load_settings(model_dir, config.decoder).max_length
    longest = max(len(tokenizer.encode(prompt)) for prompt in prompts)
    room = Room(len(prompts), longest + columns, 1, len(tokenizer.encode(description)))
    return (model_dir / "model.safetensors").stat().st_size + cache_bytes(config, room)


def _status(name: str) -> int:
    """Bytes that /proc/self/status states."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith(f"{name}:"))


_FIGURES = {"cold_start": _cold_start, "first_step": _first_step, "memory": _memory}

if __name__ == "__main__":
    wanted, directory, how, *said = sys.argv[1:]
    print(json.dumps(_FIGURES[wanted](Path(directory), how, said)))
