"""How near the engine comes to what a device can do at most: the floor is reading memory once.

A step must read the decoder's weights, and each slot's keys and values up to where it is. What that
takes at the device's own copying speed, measured in the same run, is the floor of a step.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scoring.contract import ParlerModel, SeededPrompts, TtsRequest
from scoring.tts.parler import ParlerEngine, SpeakRequest
from scoring.tts.parler.attention import SpareMemory
from scoring.tts.parler.generate import GenerationInput, Generator
from scoring.tts.parler.load import LoadedModel, Place, load_model
from scoring.tts.parler.precision import usual_precision
from scoring.tts.pipeline import evaluate

DESCRIPTION = "A female speaker with a warm voice speaks in a quiet room."
TEXT = "She said hello and walked home."
# A step's time is the difference between a long and a short run: what comes before the first step,
# and recording it, is the same in both.
SHORT = 40
_COPIED_BYTES = {"cpu": 1 << 28, "cuda": 1 << 32}
_COPIES = 10


@dataclass(frozen=True)
class Stepping:
    """How fast ``slots`` utterances are decoded side by side, and the least a step could take."""

    slots: int
    ms_per_step: float
    floor_ms: float
    times_floor: float
    audio_seconds_per_second: float


@dataclass(frozen=True)
class Decoding:
    """A model without its codec, in the precision that its device speaks in, and one request."""

    model: LoadedModel
    states: Tensor
    prompt: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    @torch.inference_mode()
    def load(cls, model_dir: Path, device: str) -> Decoding:
        """Load the checkpoint onto ``device``."""
        place = Place.on(device)
        where = place.device
        loaded = load_model(model_dir, place=place, base_dir=None)
        model = loaded.speaking_in(place.precision)
        decoder = model.decoder
        prompt = model.tokenizer.encode(TEXT)
        described = torch.tensor([model.tokenizer.encode(DESCRIPTION)], device=where)
        hidden = decoder.described(model.text_encoder(described).last_hidden_state)
        states = decoder.memory_states(hidden, torch.tensor([prompt], device=where))
        return cls(model, states, np.array(prompt, np.int64))

    def seconds(self, slots: int, columns: int) -> float:
        """What decoding ``slots`` utterances of ``columns`` columns side by side takes."""
        requests = [GenerationInput(self.states, self.prompt, n, columns) for n in range(slots)]
        generator = Generator(
            self.model.decoder,
            self.model.settings,
            codebook_size=self.model.codec.config.codebook_size,
            slots=slots,
            spare=SpareMemory(),
        )
        _wait(self.states.device)
        started = time.perf_counter()
        ended = list(generator.run(requests))
        _wait(self.states.device)
        seconds = time.perf_counter() - started
        if {one.columns for one in ended} != {columns}:
            raise RuntimeError("an utterance ended early: the figures would mean nothing")
        return seconds

    def bytes_per_step(self, slots: int, columns: int) -> float:
        """What a step halfway between a short and a long run must read."""
        decoder, parameters = self.model.config.decoder, self.model.decoder.parameters
        weights = sum(t.numel() for t in _tensors((parameters.layers, parameters.heads)))
        positions = len(self.prompt) + (SHORT + columns) / 2
        own = decoder.num_key_value_heads * positions
        heard = decoder.num_cross_attention_key_value_heads * self.states.shape[1]
        each = 2 * decoder.num_hidden_layers * decoder.head_dim * (own + heard)
        return self.states.element_size() * (weights + slots * each)


def stepping(
    decoding: Decoding, slots: int, *, columns: int, repeats: int, bandwidth: float
) -> Stepping:
    """Medians of ``repeats``, after a run that is not counted; ``bandwidth`` in bytes a second."""
    steps = columns - SHORT
    decoding.seconds(slots, columns)
    step = statistics.median(
        (decoding.seconds(slots, columns) - decoding.seconds(slots, SHORT)) / steps
        for _ in range(repeats)
    )
    floor = decoding.bytes_per_step(slots, columns) / bandwidth
    audio = slots / step / decoding.model.codec.config.frame_rate
    return Stepping(
        slots, round(step * 1e3, 3), round(floor * 1e3, 3), round(step / floor, 2), round(audio, 1)
    )


def bandwidth(device: str) -> float:
    """Bytes a second of a copy within the device's memory, those read and those written."""
    where = torch.device(device)
    source = torch.zeros(_COPIED_BYTES[where.type] // 4, device=where)
    target = torch.empty_like(source)
    target.copy_(source)
    _wait(where)
    started = time.perf_counter()
    for _ in range(_COPIES):
        target.copy_(source)
    _wait(where)
    return 2 * _COPIES * source.nbytes / (time.perf_counter() - started)


def first_sound_ms(model_dir: Path, device: str, repeats: int) -> float:
    """Milliseconds from a request to its first sound with a model that has spoken before."""
    engine = ParlerEngine.load(model_dir, device=device)
    request = SpeakRequest(TEXT, DESCRIPTION, seed=0, max_seconds=5.0)
    taken = []
    for _ in range(1 + repeats):
        started = time.perf_counter()
        next(engine.stream(request))
        taken.append(time.perf_counter() - started)
    return round(statistics.median(taken[1:]) * 1e3, 1)


def end_to_end(model_dir: Path, device: str, prompts: int) -> dict[str, float]:
    """A whole evaluation: prompts decoded, vocoded, written, transcribed and measured."""
    request = TtsRequest(
        synthesiser=ParlerModel(model_dir=model_dir),
        prompts=SeededPrompts(seed="engine", count=prompts),
        device=device,
    )
    with tempfile.TemporaryDirectory() as out:
        result = evaluate(request, Path(out), progress=lambda *_: None)
    audio = sum(sample.seconds or 0.0 for sample in result.samples)
    wall = result.timings["wall"]
    return {
        "prompts": prompts,
        "audio_seconds": round(audio, 1),
        "audio_seconds_per_second": round(audio / wall, 1),
        **{f"{stage}_seconds": spent for stage, spent in result.timings.items()},
    }


def measured(
    model_dir: Path,
    device: str,
    *,
    slots: tuple[int, ...],
    columns: int,
    repeats: int,
    prompts: int,
) -> dict[str, Any]:
    """All figures of one device."""
    copied = bandwidth(device)
    decoding = Decoding.load(model_dir, device)
    return {
        "precision": usual_precision(torch.device(device)),
        "bandwidth_gb_per_second": round(copied / 1e9, 1),
        "decoding": [
            asdict(stepping(decoding, n, columns=columns, repeats=repeats, bandwidth=copied))
            for n in slots
        ],
        "first_sound_ms": first_sound_ms(model_dir, device, repeats),
        "end_to_end": end_to_end(model_dir, device, prompts),
    }


def _tensors(part: Any) -> Iterator[Tensor]:
    if isinstance(part, Tensor):
        yield part
    elif isinstance(part, tuple):
        for one in part:
            yield from _tensors(one)
    elif is_dataclass(part):
        for field in fields(part):
            yield from _tensors(getattr(part, field.name))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
