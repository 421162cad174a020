"""What a GPU records: passes that wait for nothing on the device and find everything in its place.

That needs no GPU to be seen: tensors on torch's meta device have a shape and a dtype and no
numbers, so what reads a number back fails, and what mixes devices is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniatures import DESCRIPTION
from numpy.typing import NDArray
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scoring.tts.parler import ParlerEngine, generate, one_query, slots
from scoring.tts.parler.attention import SpareMemory
from scoring.tts.parler.config import ParlerConfig, load_config
from scoring.tts.parler.generate import GenerationInput, Generator
from scoring.tts.parler.load import _text_encoder
from scoring.tts.parler.model import ParlerDecoder
from scoring.tts.parler.parameters import Parameters, decoder_shapes
from scoring.tts.parler.recording import Recorded
from scoring.tts.parler.settings import load_settings
from scripts.make_miniature import MiniatureOptions, make_miniature

VARIANTS = {
    "sinusoidal": MiniatureOptions(),
    "rope, grouped heads": MiniatureOptions("rope", key_value_heads=2, cross_key_value_heads=1),
    "prompt cross-attention": MiniatureOptions(prompt_cross_attention=True),
}
META = torch.device("meta")
SLOTS = 4


class Crossings(TorchDispatchMode):
    """Notes every operation between devices: the ones that a recording cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.found: list[str] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor)]
        self.operations += 1
        if len({t.device.type for t in tensors}) > 1:
            self.found.append(str(func))
        return out


def _mixed(queries: Tensor, *_: Tensor) -> Tensor:
    """The shape of what the GPU's own kernel gives, which cannot be started without numbers."""
    return queries.new_empty(queries.shape[0], 1, queries.shape[1] * queries.shape[3])


def _decoder(config: ParlerConfig, dtype: torch.dtype) -> ParlerDecoder:
    shapes = decoder_shapes(config)
    tensors = {n: torch.empty(shape, dtype=dtype, device=META) for n, shape in shapes.items()}
    return ParlerDecoder(config, Parameters.take(tensors, config))


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_a_step_and_a_first_pass_never_leave_the_gpu(
    variant: str,
    dtype: torch.dtype,
    sampled: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_miniature(tmp_path, seed=0, options=VARIANTS[variant])
    config = load_config(tmp_path)
    settings = load_settings(tmp_path, config.decoder)
    settings = replace(settings, do_sample=sampled, top_k=50, top_p=0.9)
    monkeypatch.setattr(one_query, "serves", lambda inputs: inputs.shape[1] == 1)
    monkeypatch.setattr(one_query, "attend", _mixed)
    decoder = _decoder(config, dtype)
    states = torch.empty(1, 9, config.decoder.hidden_size, dtype=dtype, device=META)
    request = GenerationInput(states, np.arange(5), seed=0, max_length=60)
    generator = Generator(decoder, settings, codebook_size=1_024, slots=SLOTS, spare=SpareMemory())
    batch = generate._Batch(generator, [request] * SLOTS)
    inputs = generate._first_inputs(config, 5, META)
    with Crossings() as crossings:
        logits = batch._begin(torch.zeros(1 + inputs, dtype=torch.int64, device=META))
        flags = batch._choose_next(torch.ones(4, SLOTS, dtype=torch.int64, device=META))
    assert crossings.found == []
    assert crossings.operations > 50
    assert logits.shape == (1, config.decoder.num_codebooks, config.decoder.vocab_size)
    assert flags.shape == (2, SLOTS)
    assert {logits.device.type, flags.device.type} == {"meta"}


@torch.inference_mode()
def test_the_text_encoder_never_leaves_the_gpu_either(tmp_path: Path) -> None:
    make_miniature(tmp_path, seed=0)
    encoder = _text_encoder(load_config(tmp_path))
    with Crossings() as crossings:
        encoder(input_ids=torch.zeros(1, 7, dtype=torch.int64, device=META))
    assert crossings.found == []
    assert crossings.operations > 50


def test_what_leaves_the_device_is_noticed() -> None:
    with Crossings() as crossings:
        torch.ones(2).to(META)
    assert crossings.found
    with pytest.raises(RuntimeError, match="meta"):
        torch.ones((), device=META).item()


class Traced(Recorded):
    """A recording on a CPU: the operations of the second call, carried out again and again.

    Like a CUDA graph it knows no Python: a number that the pass took from the host, or a tensor
    that was not there when it was recorded, is the old one at every replay.
    """

    replays = 0

    def __call__(self, numbers: NDArray[np.int64]) -> Tensor:
        fresh = torch.from_numpy(numbers)
        if self._input is None:
            self._input = fresh
            return self._function(fresh)
        if self._output is None:
            return self._record(fresh)
        Traced.replays += 1
        self._output = self._replay(fresh)
        return self._output

    def _record(self, fresh: Tensor) -> Tensor:
        def noted(numbers: Tensor) -> Tensor:
            self._output = self._function(numbers)
            return self._output

        self._replay = make_fx(noted)(fresh)
        assert self._output is not None
        return self._output


@pytest.mark.parametrize("variant", VARIANTS)
def test_replaying_what_was_recorded_speaks_the_same(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More prompts than slots, of several lengths, so that slots are filled anew and first passes
    are padded."""
    torch.set_num_threads(1)
    make_miniature(tmp_path, seed=1, options=VARIANTS[variant])
    engine = ParlerEngine.load(tmp_path, device="cpu")
    engine._model = replace(engine._model, most_slots=SLOTS)
    prompts = [f"She said {'little ' * (n % 5)}hello {n}." for n in range(9)]
    plain = engine.greedy(prompts, DESCRIPTION)

    first_inputs = generate._first_inputs
    monkeypatch.setattr(one_query, "serves", lambda _: False)
    monkeypatch.setattr(generate, "_CACHE_STEP", 512)
    monkeypatch.setattr(generate, "_first_inputs", lambda *args: first_inputs(*args[:2], META))
    monkeypatch.setattr(generate, "Recorded", Traced)
    # As it is on a GPU: what numpy chose would be part of the recording.
    monkeypatch.setattr(slots, "likeliest", lambda scores: scores.argmax(dim=-1))
    replayed = engine.greedy(prompts, DESCRIPTION)
    assert Traced.replays > 100
    for one, again in zip(plain, replayed, strict=True):
        assert again.columns == one.columns
        assert torch.equal(again.codes, one.codes)
