"""The decode loop: fill free slots, step all of them at once, hand out what is finished."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scoring.tts.parler.attention import KeyValueCache, Memory, SpareMemory
from scoring.tts.parler.config import MAX_POSITIONS, ParlerConfig
from scoring.tts.parler.model import ParlerDecoder
from scoring.tts.parler.recording import Recorded, shared_pool
from scoring.tts.parler.settings import GenerationSettings
from scoring.tts.parler.slots import Counts, Generated, Slots

# Caches are read, and first passes made, in steps of this many positions.
_CACHE_STEP = 16


@dataclass(frozen=True)
class GenerationInput:
    """One request: what cross-attention reads, (1, positions, hidden), the tokens of the text,
    (positions,), the seed of its own random stream, and its cap in columns.

    Requests that hear the very same tensor share its keys and values.
    """

    memory_states: Tensor
    prompt: NDArray[np.int64]
    seed: int
    max_length: int


@dataclass(frozen=True)
class Room:
    """What caches hold for some requests: ``slots`` of ``positions`` and one for first passes, and
    ``memories`` of ``heard`` positions, in numbers of ``number_bytes``."""

    slots: int
    positions: int
    memories: int
    heard: int
    number_bytes: int = 4

    @classmethod
    def for_requests(
        cls, requests: Sequence[GenerationInput], model: ParlerDecoder, slots: int
    ) -> Room:
        """Room for any ``slots`` of the requests at a time."""
        config = model.config
        positions = max(
            _prefix_length(config, len(request.prompt)) + request.max_length for request in requests
        )
        distinct = {id(request.memory_states) for request in requests}
        heard = max(request.memory_states.shape[1] for request in requests)
        memories = min(slots, len(distinct))
        return cls(
            slots, _round_up(positions), memories, _round_up(heard), model.like.element_size()
        )


class Generator:
    """Runs requests through a fixed number of slots, refilling each as it falls free.

    Caches are made in ``spare`` memory where that suffices, and left there.
    """

    def __init__(
        self,
        model: ParlerDecoder,
        settings: GenerationSettings,
        *,
        codebook_size: int,
        slots: int,
        spare: SpareMemory,
    ) -> None:
        self.model = model
        self.settings = settings
        self.codebook_size = codebook_size
        self.slots = slots
        self.spare = spare

    @torch.inference_mode()
    def run(self, requests: Sequence[GenerationInput]) -> Iterator[Generated]:
        """Yield one result for each request, in the order in which they end.

        Every request must fit: `columns_available` bounds its ``max_length``.
        """
        if not requests:
            return
        waiting = deque(enumerate(requests))
        with _Batch.of(self, requests) as batch:
            while waiting or batch.slots.busy.any():
                for slot in (~batch.slots.busy).nonzero()[0][: len(waiting)]:
                    batch.start(int(slot), *waiting.popleft())
                if not batch.slots.done.any():
                    batch.step()
                for slot in batch.slots.done.nonzero()[0]:
                    yield batch.finish(int(slot))

    @torch.inference_mode()
    def follow(self, request: GenerationInput, marks: Iterator[int]) -> Iterator[Generated]:
        """Yield what one request has come to whenever it has as many columns as the next of the
        rising ``marks``, and at last the whole."""
        with _Batch.of(self, [request]) as batch:
            batch.start(0, 0, request)
            mark = next(marks)
            while not batch.slots.done[0]:
                if batch.slots.columns[0] >= mark:
                    yield batch.so_far(0)
                    mark = next(marks)
                batch.step()
            yield batch.finish(0)


class _Batch:
    """Slots, their caches, and what they hear."""

    def __init__(self, generator: Generator, requests: Sequence[GenerationInput]) -> None:
        self._model = generator.model
        self._codebook_size = generator.codebook_size
        config, like = self._model.config, self._model.like
        room = Room.for_requests(requests, self._model, generator.slots)
        heads = config.decoder.num_key_value_heads
        self._rows = rows = KeyValueCache.allocate(
            config.decoder, heads, room.slots + 1, room.positions, like, generator.spare
        )
        self._cache = rows.upto(room.slots)
        # Where first passes leave keys and values: a recording always writes to the same place.
        self._fresh = rows.row(room.slots)
        # What `step` looks at of the cache: a recording must always look at the same.
        self._reach = self._cache
        self._memory = Memory.allocate(config.decoder, room.memories, room.slots, room.heard, like)
        # What each row of the memory holds, and how many busy slots hear it.
        self._held: list[Tensor | None] = [None] * room.memories
        self._hearers = [0] * room.memories
        self._row_of_slot = [0] * room.slots
        self._used = [False] * room.slots
        self.slots = Slots(
            generator.settings,
            count=room.slots,
            codebooks=config.decoder.num_codebooks,
            columns=max(2, *(request.max_length for request in requests)),
            device=like.device,
        )
        self._pool = shared_pool(like.device)
        self._first: dict[int, Recorded] = {}
        self._next = Recorded(self._choose_next, like.device, self._pool)

    @classmethod
    @contextmanager
    def of(cls, generator: Generator, requests: Sequence[GenerationInput]) -> Iterator[_Batch]:
        """A batch whose cache's memory is spare afterwards."""
        batch = cls(generator, requests)
        try:
            yield batch
        finally:
            generator.spare.keep(batch._rows)

    def start(self, slot: int, index: int, request: GenerationInput) -> None:
        """Take a request into a free slot and choose its first column.

        It is done alone: in a batch with others its rounding would depend on their lengths.
        """
        config, device = self._model.config, self._model.like.device
        prefix = _prefix_length(config, len(request.prompt))
        self.slots.begin(
            slot, index=index, prefix=prefix, max_length=request.max_length, seed=request.seed
        )
        row = self._hear(slot, request.memory_states)
        inputs = _first_inputs(config, len(request.prompt), device)
        # Padding is the last token again: its place is written anew before anything sees it.
        prompt = np.pad(request.prompt[:prefix], (0, inputs - 1 - prefix), mode="edge")
        first = self._first.setdefault(inputs, Recorded(self._begin, device, self._pool))
        logits = first(np.concatenate(([row, prefix], prompt)))
        cache = self._cache.row(slot)
        if self._used[slot]:
            cache.clear()
        self._used[slot] = True
        cache.first(inputs).keys_values.copy_(self._fresh.first(inputs).keys_values)
        rows = slice(slot, slot + 1)
        counts = Counts.unpacked(torch.from_numpy(self.slots.counts(rows)).to(device))
        self.slots.advance(self.slots.choose(logits, counts, rows), rows)

    def step(self) -> None:
        """Choose the next column of every slot."""
        counts = self.slots.counts()
        if self._model.like.device.type == "cpu":
            _, _, positions, _ = counts
            self._reach = self._cache.first(_round_up(int(positions.max()) + 1))
        self.slots.advance(self._next(counts))

    def _begin(self, packed: Tensor) -> Tensor:
        """The logits of a request's start column, (1, codebooks, vocabulary).

        ``packed`` is the memory's row, the start column's position, and all prompt tokens, of
        which those from that position on are padding.
        """
        row, prefix, prompt = packed[:1], packed[1:2], packed[None, 2:]
        codebooks = self._model.config.decoder.num_codebooks
        start = prompt.new_full((1, codebooks, 1), self.slots.settings.bos_token_id)
        inputs = self._model.prefix(prompt, start)
        place = torch.arange(inputs.shape[1] - 1, device=prompt.device)
        positions = torch.cat((place + (place >= prefix), prefix))[None]
        heard = Memory(self._memory.cache, self._memory.filled, row)
        return self._model(inputs, positions, self._fresh.first(inputs.shape[1]), heard)

    def _choose_next(self, packed: Tensor) -> Tensor:
        """One step of every slot, from `Slots.counts` to the flags that `Slots.advance` reads."""
        counts = Counts.unpacked(packed)
        inputs = self._model.embed(self.slots.newest(counts))
        logits = self._model(inputs, counts.positions, self._reach, self._memory)
        return self.slots.choose(logits, counts)

    def so_far(self, slot: int) -> Generated:
        """What the request in ``slot`` has come to."""
        return self.slots.so_far(slot, codebook_size=self._codebook_size)

    def finish(self, slot: int) -> Generated:
        """Take a finished request out of its slot."""
        self._hearers[self._row_of_slot[slot]] -= 1
        generated = self.so_far(slot)
        self.slots.busy[slot] = self.slots.done[slot] = False
        return generated

    def _hear(self, slot: int, states: Tensor) -> int:
        """Let a slot hear ``states``, which are remembered unless some row holds them. Gives the
        row."""
        row = next((r for r, held in enumerate(self._held) if held is states), None)
        if row is None:
            row = self._hearers.index(0)
            self._model.remember(states, self._memory, row)
            self._held[row] = states
        self._hearers[row] += 1
        self._row_of_slot[slot] = row
        self._memory.row_of_slot[slot] = row
        return row


def columns_available(config: ParlerConfig, prompt_tokens: int) -> int:
    """The most columns that the position table has room for; none or less: no room at all."""
    room = config.decoder.max_position_embeddings
    if config.prompt_cross_attention and prompt_tokens > room:
        return 0
    if config.decoder.rope_embeddings:
        return MAX_POSITIONS
    # The last column is never an input, so it needs no position.
    return room - _prefix_length(config, prompt_tokens) + 1


def _prefix_length(config: ParlerConfig, prompt_tokens: int) -> int:
    """Cache positions before the start column."""
    return 0 if config.prompt_cross_attention else prompt_tokens


def _first_inputs(config: ParlerConfig, prompt_tokens: int, device: torch.device) -> int:
    """How many inputs the first pass of a request has, padding included."""
    inputs = _prefix_length(config, prompt_tokens) + 1
    # On a GPU each number of inputs is recorded once, so there are few of them.
    if device.type == "cpu" or config.prompt_cross_attention:
        return inputs
    if config.decoder.rope_embeddings:
        return _round_up(inputs)
    return min(_round_up(inputs), config.decoder.max_position_embeddings)


def _round_up(positions: int) -> int:
    return -(-positions // _CACHE_STEP) * _CACHE_STEP
