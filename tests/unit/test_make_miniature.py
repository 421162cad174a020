"""Miniatures: the same bytes for a seed, a few MB, and speech that ends."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from miniatures import DESCRIPTION

from scoring.tts.parler import ParlerEngine, SpeakRequest
from scoring.weights_digest import weights_digest
from scripts.make_miniature import MiniatureOptions, make_miniature

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_miniature.py"


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        make_miniature(tmp_path / name, seed=seed)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {"config.json", "generation_config.json", "tokenizer.json"} < set(files)
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert weights_digest(tmp_path / "one") != weights_digest(tmp_path / "three")
    assert sum(path.stat().st_size for path in (tmp_path / "one").iterdir()) < 5_000_000


@pytest.mark.parametrize(
    "options",
    [
        MiniatureOptions(positions="rope", codebooks=4, fused_heads=True),
        MiniatureOptions(prompt_cross_attention=True, text_width=32, key_value_heads=2),
    ],
)
def test_options_combine(tmp_path: Path, options: MiniatureOptions) -> None:
    make_miniature(tmp_path, seed=3, options=options)
    engine = ParlerEngine.load(tmp_path, device="cpu")
    [spoken] = engine.speak([SpeakRequest("Look down.", DESCRIPTION, 0, 1.0)])
    assert spoken.failure is None


def test_most_speech_ends_by_itself(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    make_miniature(tmp_path, seed=1)
    engine = ParlerEngine.load(tmp_path, device="cpu")
    texts = ("Look down.", "No.", "She said hello and walked home.", "What time is it?") * 2
    requests = [SpeakRequest(text, DESCRIPTION, seed, 30.0) for seed, text in enumerate(texts)]
    spoken = list(engine.speak(requests))
    assert sum(not one.truncated for one in spoken) > len(texts) / 2
    assert all(0.4 < one.frames / 86 <= 4 for one in spoken)


def test_command_line_makes_what_the_function_makes(tmp_path: Path) -> None:
    arguments = ["--seed", "4", "--positions", "rope", "--codebooks", "4"]
    subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(tmp_path / "shell"), *arguments], check=True
    )
    options = MiniatureOptions(positions="rope", codebooks=4)
    make_miniature(tmp_path / "function", seed=4, options=options)
    assert weights_digest(tmp_path / "shell") == weights_digest(tmp_path / "function")
