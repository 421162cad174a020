"""Write the golden files: what parler-tts 0.2.3 says with each miniature.

It runs in an environment of its own, never in CI, because parler-tts pins an old transformers.
From the repository's root, with Python 3.11:

    python3.11 -m venv var/reference
    var/reference/bin/pip install torch==2.13.0
    var/reference/bin/pip install parler-tts==0.2.3 pydantic
    PYTHONPATH=. var/reference/bin/python scripts/reference/make_goldens.py

torchaudio, which parler-tts's codec package imports and never uses here, does not load beside a
CPU torch; an empty module stands in for it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import types
from dataclasses import asdict
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_torchaudio = types.ModuleType("torchaudio")
_torchaudio.__version__ = "0"  # type: ignore[attr-defined]
_torchaudio.__spec__ = ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = _torchaudio

import torch  # noqa: E402 - after the stand-in
from parler_tts import ParlerTTSForConditionalGeneration  # noqa: E402
from transformers import (  # noqa: E402
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    logging,
)

from scoring.weights_digest import weights_digest  # noqa: E402
from scripts.make_miniature import MiniatureOptions, make_miniature  # noqa: E402

DESCRIPTION = "A female speaker with a warm voice speaks in a quiet room."
PROMPTS = (
    "The quick brown fox jumps over the lazy dog.",
    "She said hello and walked home.",
    "What time is it now?",
    "Never look down!",
    "This is a longer sentence that goes on for quite a while, because it should.",
    "No.",
    "Every year 1,024 people come back for water.",
    "I would like some more of that, please.",
    "How far is it to the other side?",
    "Tell him that we know.",
    "First they made a small boat, and then a much larger one.",
    "Good morning to you all.",
)
KEPT_PROMPTS = 4
MIN_COLUMNS = 50
MIN_DISTINCT = 100
# Tokens are compared exactly on machines that round differently, so a prompt is kept only if the
# best and second best logit never lie closer than this; float32 rounding moves them by 1e-5.
MIN_MARGIN = 2e-4
SHORT = {"min_new_tokens": MIN_COLUMNS, "max_length": 180}
VARIANTS = {
    "sinusoidal": MiniatureOptions(**SHORT),
    "rope": MiniatureOptions(positions="rope", **SHORT),
    "grouped_heads": MiniatureOptions(key_value_heads=2, cross_key_value_heads=1, **SHORT),
    "rope_grouped_heads": MiniatureOptions(
        positions="rope", key_value_heads=1, cross_key_value_heads=2, **SHORT
    ),
    "fused_heads": MiniatureOptions(fused_heads=True, **SHORT),
    "prompt_cross_attention": MiniatureOptions(prompt_cross_attention=True, **SHORT),
    "projection": MiniatureOptions(text_width=32, **SHORT),
    "four_codebooks": MiniatureOptions(codebooks=4, **SHORT),
    "stray_ids": MiniatureOptions(stray_ids=True, **SHORT),
    "capped": MiniatureOptions(min_new_tokens=MIN_COLUMNS, max_length=64),
}
CODEC_FRAMES = 4
CODEC_SAMPLE_STEP = 16


class _Margins(LogitsProcessor):
    """Passes scores through and keeps the smallest gap between the best and the second best."""

    def __init__(self) -> None:
        self.smallest = float("inf")

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        best = scores.topk(2, dim=-1).values
        self.smallest = min(self.smallest, float((best[:, 0] - best[:, 1]).min()))
        return scores


class Reference:
    """parler-tts with one checkpoint, one prompt at a time."""

    def __init__(self, directory: Path) -> None:
        self.model, report = ParlerTTSForConditionalGeneration.from_pretrained(
            directory, output_loading_info=True
        )
        if any(report.values()):
            raise SystemExit(f"{directory}: parler-tts does not know these tensors: {report}")
        self.model.eval()
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self._grid = torch.empty(0)
        self._codes = torch.empty(0)
        self._margins = _Margins()
        self._listen()

    def greedy(self, prompt: str) -> dict[str, Any]:
        """The tokens that parler-tts hands to its codec, and how they came about."""
        self._margins.smallest = float("inf")
        ids = self.tokenizer(prompt, return_tensors="pt").input_ids
        self.model.generate(
            input_ids=self.tokenizer(DESCRIPTION, return_tensors="pt").input_ids,
            prompt_input_ids=ids,
            do_sample=False,
        )
        columns = self._grid.shape[1]
        return {
            "prompt": prompt,
            "prompt_ids": " ".join(map(str, ids[0].tolist())),
            "columns": columns,
            "truncated": columns == self.model.generation_config.max_length,
            "margin": round(self._margins.smallest, 6),
            "codes": [" ".join(map(str, row)) for row in self._codes.tolist()],
        }

    def _listen(self) -> None:
        """Keep what passes through three of parler-tts's methods, changing nothing."""
        model = self.model
        sample, decode = model._sample, model.audio_encoder.decode
        processors = model._get_logits_processor

        def sample_and_keep(*args: Any, **kwargs: Any) -> Any:
            self._grid = sample(*args, **kwargs)
            return self._grid

        def decode_and_keep(*args: Any, **kwargs: Any) -> Any:
            self._codes = kwargs["audio_codes"][0]
            return decode(*args, **kwargs)

        def processors_and_margins(*args: Any, **kwargs: Any) -> LogitsProcessorList:
            return LogitsProcessorList([*processors(*args, **kwargs), self._margins])

        model._sample, model.audio_encoder.decode = sample_and_keep, decode_and_keep
        model._get_logits_processor = processors_and_margins


def decoder_golden(name: str, options: MiniatureOptions, directory: Path) -> dict[str, Any]:
    """A golden of the first seed with which enough prompts are fit for comparing."""
    for seed in range(100):
        make_miniature(directory, seed=seed, options=options)
        reference = Reference(directory)
        kept: list[dict[str, Any]] = []
        for prompt in PROMPTS:
            try:
                spoken = reference.greedy(prompt)
            except IndexError:  # stray ids without an end: parler-tts's own codec fails
                continue
            if spoken["margin"] >= MIN_MARGIN and _distinct(spoken) >= MIN_DISTINCT:
                kept.append(spoken)
        kept = kept[:KEPT_PROMPTS]
        if len(kept) == KEPT_PROMPTS and not all(spoken["truncated"] for spoken in kept):
            print(f"{name}: seed {seed}, columns {[spoken['columns'] for spoken in kept]}")
            return _recipe(seed, options, directory) | {"description": DESCRIPTION, "spoken": kept}
    raise SystemExit(f"{name}: no seed gives {KEPT_PROMPTS} prompts fit for comparing")


def codec_golden(directory: Path) -> dict[str, Any]:
    """What descript's codec, inside parler-tts, makes of a few frames."""
    options = MiniatureOptions(codec="dac_on_the_hub")
    make_miniature(directory, seed=0, options=options)
    codes = torch.randint(0, 1_024, (9, CODEC_FRAMES), generator=torch.Generator().manual_seed(0))
    codec = Reference(directory).model.audio_encoder
    with torch.no_grad():
        audio = codec.decode(
            audio_codes=codes[None, None], audio_scales=[None]
        ).audio_values.flatten()
    return _recipe(0, options, directory) | {
        "codes": [" ".join(map(str, row)) for row in codes.tolist()],
        "samples": audio.numel(),
        "sample_step": CODEC_SAMPLE_STEP,
        "audio": [round(sample, 6) for sample in audio[::CODEC_SAMPLE_STEP].tolist()],
    }


def _distinct(spoken: dict[str, Any]) -> int:
    return len({token for row in spoken["codes"] for token in row.split()})


def _recipe(seed: int, options: MiniatureOptions, directory: Path) -> dict[str, Any]:
    return {
        "seed": seed,
        "options": asdict(options),
        "weights_digest": weights_digest(directory),
    }


def main() -> None:
    """Write every golden file."""
    parser = argparse.ArgumentParser(description="Write the golden files.")
    parser.add_argument("--out", type=Path, default=Path("tests/golden"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        for name, options in VARIANTS.items():
            golden = decoder_golden(name, options, Path(scratch) / name)
            _write(out / f"parler_{name}.json", golden)
        _write(out / "descript_codec.json", codec_golden(Path(scratch) / "codec"))


def _write(path: Path, golden: dict[str, Any]) -> None:
    path.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
