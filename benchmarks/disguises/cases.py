"""Originals, copies of them in every disguise, and other people's fine-tunes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.disguises import alterations as a
from benchmarks.disguises.training import Recipe, fine_tune
from scoring.contract import Sketch
from scoring.sketch.answers import answers_of
from scoring.sketch.difference import (
    BaseAnswers,
    base_answers,
    sketch_of_behaviour,
    sketch_of_weights,
)
from scoring.tts.parler.load import LoadedModel, Place, load_model
from scripts.make_miniature import MiniatureOptions, make_miniature

PRETRAINING = Recipe(tuple(range(100, 112)), 0, 1_200, 2e-3)
"""Long enough, on many corpora, that fine-tunes do not all go on with what it left undone."""
PLACE = Place(torch.device("cpu"), 1 << 33)

Pair = tuple[Sketch, Sketch]


@dataclass(frozen=True)
class Workshop:
    """Makes checkpoints below ``folder``, all relative to one trained base miniature."""

    folder: Path
    base: dict[str, Tensor]
    model: LoadedModel
    answers: BaseAnswers

    @classmethod
    def open(cls, folder: Path, pretraining: Recipe) -> Workshop:
        """Make and train the base."""
        make_miniature(folder / "raw", seed=1, options=MiniatureOptions(codebooks=4))
        raw = load_model(folder / "raw", place=PLACE, base_dir=None)
        tensors = {n: t.float() for n, t in load_file(folder / "raw/model.safetensors").items()}
        base = fine_tune(raw, tensors, pretraining)
        _write(folder, "base", base)
        model = load_model(folder / "base", place=PLACE, base_dir=folder / "base")
        return cls(folder, base, model, base_answers(folder / "base", PLACE))

    def tuned(self, recipe: Recipe) -> dict[str, Tensor]:
        """A fine-tune of the base."""
        return fine_tune(self.model, self.base, recipe)

    def published(self, tensors: a.Tensors) -> Path:
        """A checkpoint's directory, valid until the next one is published."""
        return _write(self.folder, "published", tensors)

    def sketches(self, tensors: a.Tensors) -> Pair:
        """Weights and behaviour of a checkpoint, as the evaluator finds them in its files."""
        directory = self.published(tensors)
        loaded = load_model(directory, place=PLACE, base_dir=self.folder / "base")
        answers = answers_of(loaded)
        assert answers is not None
        weights = sketch_of_weights(answers, self.answers)
        behaviour = sketch_of_behaviour(answers, self.answers)
        assert weights is not None
        assert behaviour is not None
        return weights, behaviour

    def disguised(
        self, original: a.Tensors, other: a.Tensors, seed: int
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Copies of ``original``; ``other`` is blended in where a disguise blends."""
        config = self.model.config.decoder
        for name, disguise in disguises(self.base, other).items():
            random = torch.Generator().manual_seed(seed)
            yield name, disguise(original, config, random)


def disguises(base: a.Tensors, other: a.Tensors) -> dict[str, a.Alteration]:
    """Every disguise by its name."""
    rewritings = (
        a.permuted_neurons,
        a.permuted_heads,
        a.rescaled_heads,
        a.folded_norms,
        a.permuted_stream,
    )
    return {
        "noise of 1 %": a.noise(0.01),
        "noise of 0.3 %": a.noise(0.003),
        "stored as bfloat16": a.stored_as(torch.bfloat16),
        "stored as float16": a.stored_as(torch.float16),
        "renamed": a.renamed,
        "neurons permuted": a.permuted_neurons,
        "heads permuted": a.permuted_heads,
        "heads rescaled": a.rescaled_heads,
        "norms folded": a.folded_norms,
        "stream permuted": a.permuted_stream,
        "tenth of another": a.blend(other, 0.1),
        "tenth of the base": a.blend(base, 0.1),
        "noise, rewritten, bfloat16": a.all_at_once(
            a.noise(0.01), *rewritings, a.stored_as(torch.bfloat16)
        ),
        "blend, noise, rewritten, bfloat16": a.all_at_once(
            a.blend(other, 0.1), a.noise(0.01), *rewritings, a.stored_as(torch.bfloat16)
        ),
        # Beyond what is promised: where rows were shrunk, the same noise weighs up to nine times.
        "rewritten, then noise": a.all_at_once(*rewritings, a.noise(0.01)),
    }


def _write(folder: Path, name: str, tensors: a.Tensors) -> Path:
    directory = folder / name
    shutil.copytree(folder / "raw", directory, dirs_exist_ok=True)
    stored = {n: t.contiguous() for n, t in tensors.items()}
    (directory / "model.safetensors").unlink()
    save_file(stored, directory / "model.safetensors", metadata={"format": "pt"})
    return directory
