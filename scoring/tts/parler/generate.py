"""The decode loop: choose tokens column by column until each slot's codebooks have all ended.

A request's tokens form a grid of (codebooks, columns). Column 0 is the start token; codebook k is
delayed by k columns, so one column holds parts of several audio frames. The rules are those of
parler-tts 0.2.3 for a single prompt, whatever the other slots hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.tts.parler.attention import KeyValueCache, Memory
from scoring.tts.parler.config import MAX_POSITIONS, ParlerConfig
from scoring.tts.parler.model import ParlerDecoder
from scoring.tts.parler.sampling import warped
from scoring.tts.parler.settings import GenerationSettings

# Caches are read in steps of this many positions, so that short sequences cost little.
_CACHE_STEP = 64


@dataclass(frozen=True)
class GenerationInput:
    """One request: what cross-attention reads, (1, positions, hidden), the tokens of the text,
    (1, positions), the seed of its own random stream, and its cap in columns."""

    memory_states: Tensor
    prompt_ids: Tensor
    seed: int
    max_length: int


@dataclass(frozen=True)
class Generated:
    """What a request came to. ``codes`` is (codebooks, frames), all within the codec's codebooks;
    ``columns`` counts the grid, ``truncated`` says that the cap ended it, ``failure`` that its
    logits were not finite."""

    index: int
    codes: Tensor
    columns: int
    truncated: bool
    failure: str | None


class _Slot:
    """A request in progress."""

    def __init__(
        self, index: int, request: GenerationInput, codebooks: int, settings: GenerationSettings
    ) -> None:
        device = request.prompt_ids.device
        self.index = index
        self.prefix = 0
        self.max_length = request.max_length
        self.columns = 1
        self.grid = torch.full(
            (codebooks, request.max_length), settings.bos_token_id, device=device
        )
        self.generator = torch.Generator(device).manual_seed(request.seed)
        self.ended = torch.zeros(codebooks, dtype=torch.bool, device=device)
        # Whether each codebook has an end token anywhere, the start column included.
        self.has_eos = self.grid[:, 0] == settings.eos_token_id
        self.first_unfinished = 0
        self.failure: str | None = None

    @property
    def position(self) -> int:
        """Where the newest column goes in the cache."""
        return self.prefix + self.columns - 1

    @property
    def done(self) -> bool:
        """Whether there is nothing left to choose."""
        return self.failure is not None or self.columns >= self.max_length or bool(self.ended.all())


class Generator:
    """Runs requests through a fixed number of slots, refilling each as it falls free."""

    def __init__(
        self,
        model: ParlerDecoder,
        settings: GenerationSettings,
        *,
        codebook_size: int,
        slots: int,
    ) -> None:
        self.model = model
        self.settings = settings
        self.codebook_size = codebook_size
        self.slots = slots
        self.codebooks = model.config.decoder.num_codebooks

    @torch.inference_mode()
    def run(self, requests: Sequence[GenerationInput]) -> Iterator[Generated]:
        """Yield one result for each request, in the order in which they end.

        Every request must fit: `columns_available` bounds its ``max_length``.
        """
        if not requests:
            return
        waiting = deque(enumerate(requests))
        cache, memory = self._allocate(requests)
        active: list[_Slot | None] = [None] * self.slots
        while waiting or any(active):
            for row in range(self.slots):
                while active[row] is None and waiting:
                    slot = self._start(*waiting.popleft(), cache.slot(row), memory.slot(row))
                    if slot.done:
                        yield self._finish(slot)
                    else:
                        active[row] = slot
            self._step(active, cache, memory)
            for row, occupant in enumerate(active):
                if occupant is not None and occupant.done:
                    yield self._finish(occupant)
                    active[row] = None

    def _allocate(self, requests: Sequence[GenerationInput]) -> tuple[KeyValueCache, Memory]:
        decoder = self.model.config.decoder
        like = self.model.embed_prompts.weight
        longest = max(
            _prefix_length(self.model.config, request.prompt_ids.shape[1]) + request.max_length
            for request in requests
        )
        heard = _round_up(max(request.memory_states.shape[1] for request in requests))
        cross_heads = decoder.num_cross_attention_key_value_heads
        memory = Memory(
            KeyValueCache.allocate(decoder, cross_heads, self.slots, heard, like),
            # An empty slot sees one position of zeros: attention over nothing would be NaN.
            (torch.arange(heard, device=like.device) == 0).repeat(self.slots, 1, 1, 1),
        )
        cache = KeyValueCache.allocate(
            decoder, decoder.num_key_value_heads, self.slots, _round_up(longest), like
        )
        return cache, memory

    def _start(
        self, index: int, request: GenerationInput, cache: KeyValueCache, memory: Memory
    ) -> _Slot:
        slot = _Slot(index, request, self.codebooks, self.settings)
        cache.clear()
        self.model.remember(request.memory_states, memory)
        inputs = self.model.prefix(request.prompt_ids, slot.grid[None, :, :1])
        slot.prefix = inputs.shape[1] - 1
        positions = torch.arange(inputs.shape[1], device=inputs.device)[None]
        logits = self.model(inputs, positions, cache.first(_round_up(inputs.shape[1])), memory)
        self._choose([slot], logits)
        return slot

    def _step(self, active: list[_Slot | None], cache: KeyValueCache, memory: Memory) -> None:
        busy = [slot for slot in active if slot is not None]
        if not busy:
            return
        device = cache.keys.device
        blank = torch.full((self.codebooks,), self.settings.pad_token_id, device=device)
        ids = torch.stack([blank if s is None else self._input_column(s) for s in active])
        positions = torch.tensor([[0 if s is None else s.position] for s in active], device=device)
        reach = _round_up(max(slot.position for slot in busy) + 1)
        inputs = self.model.core.embed(ids[:, :, None])
        logits = self.model(inputs, positions, cache.first(reach), memory)
        rows = [row for row, slot in enumerate(active) if slot is not None]
        self._choose(busy, logits[rows])

    def _input_column(self, slot: _Slot) -> Tensor:
        """The newest column as the model sees it, with the delay pattern laid over it."""
        column = slot.columns - 1
        return delayed(slot.grid[:, column : column + 1], column, slot.max_length, self.settings)[
            :, 0
        ]

    def _choose(self, slots: list[_Slot], logits: Tensor) -> None:
        scores = self._processed(slots, logits)
        likeliest = scores.argmax(dim=-1)
        chances = scores.softmax(dim=-1)
        # Finite logits can still overflow when a low temperature divides them.
        finite = (logits.isfinite() & chances.isfinite()).flatten(1).all(dim=1).tolist()
        for row, slot in enumerate(slots):
            if not finite[row]:
                slot.failure = f"the logits of column {slot.columns} were not finite"
                continue
            if self.settings.do_sample:
                tokens = torch.multinomial(chances[row], 1, generator=slot.generator)[:, 0]
            else:
                tokens = likeliest[row]
            tokens = torch.where(slot.ended, self.settings.pad_token_id, tokens)
            slot.grid[:, slot.columns] = tokens
            slot.columns += 1
            is_eos = tokens == self.settings.eos_token_id
            slot.ended |= is_eos
            slot.has_eos |= is_eos

    def _processed(self, slots: list[_Slot], logits: Tensor) -> Tensor:
        """Scores after the rules about ending and, for sampling, about likelihood."""
        scores = logits.clone()
        eos = self.settings.eos_token_id
        for row, slot in enumerate(slots):
            # A codebook may end only once the one before it has; each column frees one more.
            unfinished = slot.first_unfinished
            if unfinished < self.codebooks - 1 and bool(slot.has_eos[unfinished]):
                slot.first_unfinished += 1
            scores[row, slot.first_unfinished + 1 :, eos] = -torch.inf
            if slot.columns <= self.settings.min_new_tokens:
                scores[row, :, eos] = -torch.inf
        if not self.settings.do_sample:
            return scores
        return warped(scores, self.settings)

    def _finish(self, slot: _Slot) -> Generated:
        codes = undelayed(slot.grid[:, : slot.columns], slot.max_length, self.settings)
        playable = (codes < self.codebook_size).all(dim=0)
        return Generated(
            index=slot.index,
            codes=codes[:, playable],
            columns=slot.columns,
            truncated=not bool(slot.ended.all()),
            failure=slot.failure,
        )


def columns_available(config: ParlerConfig, prompt_tokens: int) -> int:
    """The most columns that the position table has room for; none or less: no room at all."""
    room = config.decoder.max_position_embeddings
    if config.prompt_cross_attention and prompt_tokens > room:
        return 0
    if config.decoder.rope_embeddings:
        return MAX_POSITIONS
    # The last column is never an input, so it needs no position.
    return room - _prefix_length(config, prompt_tokens) + 1


def delayed(columns: Tensor, first: int, max_length: int, settings: GenerationSettings) -> Tensor:
    """Lay the delay pattern over (codebooks, columns) of a grid, the first being column ``first``.

    Codebook k reads as the start token up to column k, and as padding in the last columns before
    ``max_length``, which later codebooks still need.
    """
    codebooks = columns.shape[0]
    column = torch.arange(first, first + columns.shape[1], device=columns.device)
    codebook = torch.arange(codebooks, device=columns.device)[:, None]
    columns = columns.where(column > codebook, settings.bos_token_id)
    return columns.where(column < codebook + max_length - codebooks + 1, settings.pad_token_id)


def undelayed(grid: Tensor, max_length: int, settings: GenerationSettings) -> Tensor:
    """The (codebooks, frames) of a finished (codebooks, columns) grid.

    Fewer than 2 × codebooks − 1 columns hold no whole frame that ended properly: parler-tts makes
    silence of them, here they give no frame.
    """
    codebooks, columns = grid.shape
    if columns < 2 * codebooks - 1:
        return grid[:, :0]
    ids = delayed(grid, 0, max_length, settings)
    frames = columns - codebooks
    return torch.stack([ids[k, k + 1 : k + 1 + frames] for k in range(codebooks)])


def _prefix_length(config: ParlerConfig, prompt_tokens: int) -> int:
    """Cache positions before the start column."""
    return 0 if config.prompt_cross_attention else prompt_tokens


def _round_up(positions: int) -> int:
    return -(-positions // _CACHE_STEP) * _CACHE_STEP
