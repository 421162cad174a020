"""Write the golden files: what parler-tts 0.2.3 says with each miniature.

It runs in an environment of its own, never in CI, because parler-tts pins an old transformers.
From the repository's root, with Python 3.11:

    python3.11 -m venv var/reference
    var/reference/bin/pip install torch==2.13.0
    var/reference/bin/pip install parler-tts==0.2.3 pydantic
    PYTHONPATH=. var/reference/bin/python scripts/reference/make_goldens.py

Most prompts are kept as a digest of their tokens, two in full. Of the first, the chances that
sampling gives the likeliest tokens are kept too, at a few columns.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import standin  # noqa: F401 - before parler_tts
import torch
from parler_tts import ParlerTTSForConditionalGeneration
from transformers import (
    AutoTokenizer,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    logging,
)

from scoring.weights_digest import weights_digest
from scripts.make_miniature import EOS, MiniatureOptions, make_miniature

DESCRIPTION = "A female speaker with a warm voice speaks in a quiet room."
SUBJECTS = ("The fox", "She", "No one here", "A small boat", "He", "Every year, the king", "I")
VERBS = ("looks for", "never sees", "said hello to", "would like", "comes back with", "made")
OBJECTS = ("the lazy dog.", "1,024 people!", "water?", "more of that, please.", "one.", "home")
# More than are kept, varied in words and length.
PROMPTS = tuple(
    " ".join((SUBJECTS[n % 7], VERBS[n % 6], OBJECTS[(n // 2) % 6], *("and",) * (n % 3)))
    for n in range(72)
)
KEPT_PROMPTS = 20
FULL_PROMPTS = 2
# The columns whose chances are kept, for sampling as the miniature's settings have it.
CHANCE_COLUMNS = (12, 40)
CHANCES = 8
TOP_K = 50
TEMPERATURE = 0.8
MIN_COLUMNS = 50
MIN_DISTINCT = 100
# Tokens are compared exactly on machines that round differently, so a prompt is kept only if the
# best and second best logit never lie closer than this; float32 rounding moves them by 1e-5.
MIN_MARGIN = 1e-4
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
    "early": MiniatureOptions(min_new_tokens=0, max_length=180),
}
CODEC_FRAMES = 4
CODEC_SAMPLE_STEP = 16


class _Margins(LogitsProcessor):
    """Passes scores through and keeps the smallest gap between the best and the second best, and
    the scores of some columns."""

    def __init__(self) -> None:
        self.smallest = float("inf")
        self.scores: dict[int, torch.Tensor] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if input_ids.shape[1] in CHANCE_COLUMNS:
            self.scores[input_ids.shape[1]] = scores.clone()
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
        self._margins.smallest, self._margins.scores = float("inf"), {}
        # Nothing is decoded of an utterance without a whole frame.
        self._codes = torch.empty(self.model.decoder.num_codebooks, 0, dtype=torch.int64)
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
            "truncated": not bool((self._grid == EOS).any(dim=1).all()),
            "margin": round(self._margins.smallest, 6),
            "codes": [" ".join(map(str, row)) for row in self._codes.tolist()],
            "chances": [_chances(column, s) for column, s in sorted(self._margins.scores.items())],
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
            if spoken["margin"] >= MIN_MARGIN and _tells_much(spoken, options):
                kept.append(spoken)
            if len(kept) == KEPT_PROMPTS:
                break
        if len(kept) == KEPT_PROMPTS and _varied(kept):
            print(f"{name}: seed {seed}, columns {[spoken['columns'] for spoken in kept]}")
            spoken = [_short(one, place) for place, one in enumerate(kept)]
            return _recipe(seed, options, directory) | {
                "description": DESCRIPTION,
                "sampling": {"temperature": TEMPERATURE, "top_k": TOP_K},
                "spoken": spoken,
            }
        print(f"{name}: seed {seed} gives {len(kept)}")
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


def _tells_much(spoken: dict[str, Any], options: MiniatureOptions) -> bool:
    """Whether an utterance is long and varied, or is meant to end early."""
    distinct = len({token for row in spoken["codes"] for token in row.split()})
    return distinct >= MIN_DISTINCT or options.min_new_tokens == 0


def _varied(kept: list[dict[str, Any]]) -> bool:
    return not all(one["truncated"] for one in kept) and len({o["columns"] for o in kept}) > 3


def _short(spoken: dict[str, Any], place: int) -> dict[str, Any]:
    """Keep the tokens of most prompts as a digest."""
    codes, chances = spoken.pop("codes"), spoken.pop("chances")
    spoken["codes_sha256"] = hashlib.sha256("\n".join(codes).encode()).hexdigest()
    if place < FULL_PROMPTS:
        spoken["codes"] = codes
    if place == 0:
        spoken["chances"] = chances
    return spoken


def _chances(column: int, scores: torch.Tensor) -> dict[str, Any]:
    """The likeliest tokens of each codebook under sampling, with their probabilities."""
    scores = TemperatureLogitsWarper(TEMPERATURE)(None, scores)
    scores = TopKLogitsWarper(TOP_K)(None, scores)
    best = scores.softmax(dim=-1).topk(CHANCES, dim=-1)
    return {
        "column": column,
        "tokens": [" ".join(map(str, row)) for row in best.indices.tolist()],
        "probabilities": [" ".join(f"{p:.6f}" for p in row) for row in best.values.tolist()],
    }


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
