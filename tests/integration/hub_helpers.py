"""A rehearsal hub as a process, and repositories on it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import CommitOperationAdd, HfApi
from safetensors.numpy import save

REPOSITORY_ROOT = Path(__file__).parents[2]
OWNER = "alice"
STOP_SECONDS = 20


@dataclass
class RunningHub:
    """A hub that answers at ``url`` until its process is stopped."""

    url: str
    process: subprocess.Popen[str]

    def api(self, user: str | None = OWNER) -> HfApi:
        """The real client, as ``user`` or as nobody."""
        return HfApi(endpoint=self.url, token=f"hf_{user}" if user else False)

    def publish(self, name: str, files: Mapping[str, bytes]) -> str:
        """Upload ``files`` to alice's repository ``name``; the commit's id."""
        api = self.api()
        api.create_repo(f"{OWNER}/{name}", exist_ok=True)
        operations = [CommitOperationAdd(path, content) for path, content in files.items()]
        return str(api.create_commit(f"{OWNER}/{name}", operations, commit_message="publish").oid)

    def stop(self) -> int:
        """Interrupt it as Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running_hub(root: Path, port: int = 0) -> Iterator[RunningHub]:
    """Start ``scripts/devhub.py`` over ``root``."""
    process = start_hub(root, port)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"http://[\d.:]+", line)
        assert match, f"the hub did not start: {line!r}"
        yield RunningHub(match.group(), process)
    finally:
        process.kill()
        process.wait()


def start_hub(root: Path, port: int = 0) -> subprocess.Popen[str]:
    """The hub's process, started and not waited for."""
    return subprocess.Popen(
        [sys.executable, "scripts/devhub.py", "--port", str(port), "--root", str(root)],
        cwd=REPOSITORY_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def parler_config() -> dict[str, Any]:
    """A small config that admission accepts."""
    return {
        "model_type": "parler_tts",
        "architectures": ["ParlerTTSForConditionalGeneration"],
        "text_encoder": {"model_type": "t5", "d_model": 8, "num_layers": 1, "vocab_size": 32},
        "decoder": {
            "model_type": "parler_tts_decoder",
            "hidden_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_codebooks": 2,
            "vocab_size": 16,
        },
        "audio_encoder": {"model_type": "dac", "sampling_rate": 16_000},
    }


def parler_files() -> dict[str, bytes]:
    """The least that admission accepts. No model: nothing can be loaded from it."""
    return {
        "config.json": json.dumps(parler_config()).encode(),
        "model.safetensors": save({"decoder.weight": np.zeros((4, 4), np.float32)}),
    }
