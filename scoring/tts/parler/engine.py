"""The seam: a checkpoint directory goes in, spoken requests come out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scoring.contract import FailureCode
from scoring.tts.ahead import Ahead
from scoring.tts.parler.attention import SpareMemory
from scoring.tts.parler.generate import GenerationInput, Generator, Room, columns_available
from scoring.tts.parler.load import SLOT_COUNTS, LoadedModel, Place, load_model
from scoring.tts.parler.memory import (
    activation_bytes,
    cache_bytes,
    check_free,
    memory_errors,
)
from scoring.tts.parler.precision import Precision
from scoring.tts.parler.recording import Recorded, shared_pool
from scoring.tts.parler.rounding import sizes_rounding_alike
from scoring.tts.parler.settings import GenerationSettings
from scoring.tts.parler.slots import Generated
from scoring.tts.parler.streaming import stream_codes
from scoring.tts.parler.tokenizer import TextError

# Utterances whose tokens may wait for the codec while the decoder goes on. On a CPU the two would
# only compete.
DECODED_AHEAD = {"cpu": 0, "cuda": 64}
# Tokens of the longest description that is worth a recording: that bounds their number.
LONGEST_RECORDED = 128


@dataclass(frozen=True)
class SpeakRequest:
    """One text to speak. ``seed`` names its own random stream; ``max_seconds`` caps the audio."""

    text: str
    description: str
    seed: int
    max_seconds: float


@dataclass(frozen=True)
class Spoken:
    """What became of the request at ``index``.

    ``audio`` is mono float32 in [-1, 1], (samples,), and None exactly when ``failure`` says why.
    ``truncated`` means that the cap cut it.
    """

    index: int
    audio: NDArray[np.float32] | None
    sample_rate: int
    frames: int
    truncated: bool
    failure: str | None


class ParlerEngine:
    """A Parler-TTS model that speaks.

    ``weights_digest`` names the exact tensors that were loaded; ``own_assets`` are parts besides
    the weights that the checkpoint brought itself, ``ignored`` parts of it that the base model's
    replaced.
    """

    def __init__(self, model: LoadedModel, place: Place) -> None:
        """Let a model speak that was loaded for ``place``. It is lowered if it has to be, and stays
        as it is for whoever holds it."""
        self._model = model.speaking_in(place.precision)
        self._device = place.device
        # One for each number of tokens: padded, a description would sound otherwise.
        self._encoders: dict[int, Recorded] = {}
        self._pool = shared_pool(place.device)
        self._spare = SpareMemory()
        # The codec is bound by arithmetic and the decoder by memory: beside one another they take
        # hardly longer than alone.
        self._beside = _stream(place.device)

    @classmethod
    def load(
        cls,
        model_dir: Path,
        *,
        device: str,
        base_dir: Path | None = None,
        memory_limit: int | None = None,
        precision: Precision | None = None,
    ) -> ParlerEngine:
        """Load a checkpoint onto ``device`` ("cpu", "cuda", "cuda:0" …).

        With ``base_dir``, the base model's directory, tokenizer, codec and generation settings
        come from there. ``memory_limit`` is how many bytes of the device's memory to use at most:
        by default half of a CPU's, nine tenths of a GPU's. ``precision`` is what the decoder
        speaks in: by default "float32" on a CPU, "bfloat16" on a GPU. On the CPU, torch's threads
        are set to suit the model, for the whole process (`threads.pin_threads`).

        Raises ScoringError whose code says what was wrong and whose fault it is.
        """
        place = Place.on(device, memory_limit=memory_limit, precision=precision)
        with memory_errors():
            return cls(load_model(model_dir, place=place, base_dir=base_dir), place)

    @property
    def weights_digest(self) -> str:
        """See `scoring.weights_digest`."""
        return self._model.weights_digest

    @property
    def own_assets(self) -> tuple[str, ...]:
        """Parts that the checkpoint brought itself."""
        return self._model.own_assets

    @property
    def ignored(self) -> tuple[str, ...]:
        """Parts of the checkpoint that were not used."""
        return self._model.ignored

    @property
    def sample_rate(self) -> int:
        """Samples per second of everything that `speak` yields."""
        return self._model.codec.config.sampling_rate

    def speak(self, requests: Sequence[SpeakRequest]) -> Iterator[Spoken]:
        """Yield exactly one result for each request, as each is finished.

        What a request sounds like depends on nothing but the model, the request and the machine.
        Raises ScoringError (OUT_OF_MEMORY) when the device cannot hold the work.
        """
        with memory_errors():
            prepared: dict[int, GenerationInput] = {}
            encoded: dict[str, Tensor] = {}
            for index, request in enumerate(requests):
                outcome = self._attempt(index, request, encoded)
                if isinstance(outcome, Spoken):
                    yield outcome
                else:
                    prepared[index] = outcome
            places = list(prepared)
            inputs = list(prepared.values())
            generator = self._generator(self._model.settings, inputs)
            with Ahead() as ahead:
                for generated in ahead.of(generator.run(inputs), DECODED_AHEAD[self._device.type]):
                    yield self._voice(places[generated.index], generated)

    def stream(self, request: SpeakRequest) -> Iterator[NDArray[np.float32]]:
        """Yield the sound of one request in pieces, (samples,), as they are decoded.

        Joined, they equal what `speak` yields up to rounding. Raises ScoringError (OUT_OF_MEMORY,
        NUMERIC_FAILURE), and TextError for a text that cannot be spoken.
        """
        with memory_errors():
            prepared = self._prepare(request, {})
            generator = self._generator(self._model.settings, [prepared])
            for piece in stream_codes(generator, prepared, self._model.codec):
                yield _sound(piece)

    def greedy(self, texts: Sequence[str], description: str) -> list[Generated]:
        """The audio tokens of always choosing the likeliest, up to the settings' own length cap.

        Raises TextError for a text that cannot be spoken.
        """
        encoded: dict[str, Tensor] = {}
        requests = [SpeakRequest(text, description, 0, math.inf) for text in texts]
        prepared = [self._prepare(request, encoded) for request in requests]
        generator = self._generator(replace(self._model.settings, do_sample=False), prepared)
        return sorted(generator.run(prepared), key=lambda generated: generated.index)

    def decode(self, codes: Tensor) -> NDArray[np.float32]:
        """The sound, (samples,), of (codebooks, frames) audio tokens; see `Codec.decode`."""
        with torch.cuda.stream(self._beside):
            return _sound(self._model.codec.decode(codes))

    def _generator(
        self, settings: GenerationSettings, requests: Sequence[GenerationInput]
    ) -> Generator:
        """A generator with slots for the requests, or as many as fit."""
        model = self._model
        slots = model.most_slots
        if len(requests) < slots:
            slots = next(size for size in self._sizes if size >= len(requests))
        if requests:
            room = Room.for_requests(requests, model.decoder, slots)
            need = cache_bytes(model.config, room) + activation_bytes(model.config, room)
            check_free(need - self._spare.nbytes, f"{slots} requests at a time", self._device)
        return Generator(
            model.decoder,
            settings,
            codebook_size=model.codec.config.codebook_size,
            slots=slots,
            spare=self._spare,
        )

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        """The numbers of slots among which a request's sound is the same to the last bit."""
        sizes = SLOT_COUNTS[self._device.type]
        most = self._model.most_slots
        return sizes_rounding_alike(self._model.decoder, sizes[: sizes.index(most) + 1])

    def _attempt(
        self, index: int, request: SpeakRequest, encoded: dict[str, Tensor]
    ) -> GenerationInput | Spoken:
        try:
            return self._prepare(request, encoded)
        except TextError as error:
            return self._failed(index, str(error))

    @torch.inference_mode()
    def _prepare(self, request: SpeakRequest, encoded: dict[str, Tensor]) -> GenerationInput:
        model = self._model
        prompt = model.tokenizer.encode(request.text)
        if request.description not in encoded:
            encoded[request.description] = self._heard(request.description)
        available = columns_available(model.config, len(prompt))
        shortest = 2 * model.config.decoder.num_codebooks - 1
        if available < shortest:
            raise TextError("the text leaves no room for audio among the model's positions")
        ids = torch.tensor([prompt], device=self._device)
        states = model.decoder.memory_states(encoded[request.description], ids)
        longest = min(available, model.settings.max_length)
        if math.isfinite(request.max_seconds):
            frames = int(request.max_seconds * model.codec.config.frame_rate)
            longest = min(longest, max(shortest, frames + model.config.decoder.num_codebooks))
        return GenerationInput(states, np.array(prompt, np.int64), request.seed, longest)

    def _heard(self, description: str) -> Tensor:
        """A description as cross-attention reads it, (1, positions, hidden)."""
        tokens = self._model.tokenizer.encode(description)
        if len(tokens) > LONGEST_RECORDED:
            return self._encode(torch.tensor([tokens], device=self._device))
        encoder = self._encoders.setdefault(
            len(tokens), Recorded(self._encode, self._device, self._pool)
        )
        return encoder(np.array([tokens], np.int64)).clone()

    def _encode(self, ids: Tensor) -> Tensor:
        model = self._model
        return model.decoder.described(model.text_encoder(input_ids=ids).last_hidden_state)

    def _voice(self, index: int, generated: Generated) -> Spoken:
        if generated.failure is not None:
            return self._failed(index, f"{FailureCode.NUMERIC_FAILURE.name}: {generated.failure}")
        frames = generated.codes.shape[1]
        if not frames:
            reason = "no audio: the model ended at once, or its tokens mean nothing to the codec"
            return self._failed(index, reason)
        audio = self.decode(generated.codes)
        if not np.isfinite(audio).all():
            reason = f"{FailureCode.NUMERIC_FAILURE.name}: the codec's output was not finite"
            return self._failed(index, reason)
        return Spoken(index, audio, self.sample_rate, frames, generated.truncated, None)

    def _failed(self, index: int, reason: str) -> Spoken:
        return Spoken(index, None, self.sample_rate, 0, False, reason)


def _stream(device: torch.device) -> torch.cuda.Stream | None:
    """A stream of one's own, for what is there already; None, on a CPU, means none to torch too."""
    if device.type != "cuda":
        return None
    torch.cuda.synchronize(device)
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _sound(audio: Tensor) -> NDArray[np.float32]:
    return audio.clamp(-1, 1).cpu().numpy()
