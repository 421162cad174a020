"""What is known of the requests in progress: one row per slot, and the rules of choosing tokens.

A request's tokens form a grid of (codebooks, columns). Column 0 is the start token. The rules are
those of parler-tts 0.2.3 for a single prompt, whatever the other slots hold.

Tokens and what follows from them live on the device; counts that follow from no token live in numpy
arrays on the host, so that reading them waits for no device. A step takes the counts as one tensor
and gives flags as another, and in between neither side waits for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scoring.tts.parler.delay import delayed, undelayed
from scoring.tts.parler.sampling import drawn, likeliest, warped
from scoring.tts.parler.settings import GenerationSettings

EVERY = slice(None)
"""All slots."""


@dataclass(frozen=True)
class Generated:
    """What a request came to. ``codes`` is (codebooks, frames) on the host, all within the codec's
    codebooks; ``columns`` counts the grid, ``done`` says that this is all, ``truncated`` that the
    cap ended it, ``failure`` that its logits were not finite."""

    index: int
    codes: Tensor
    columns: int
    done: bool
    truncated: bool
    failure: str | None


@dataclass(frozen=True)
class Counts:
    """What the host knows of slots before a step, as tensors (slots, 1) on the device.

    ``columns`` counts those there are, ``positions`` says where the newest goes in the cache, and
    ``early`` (bool) that it is too soon for an end.
    """

    columns: Tensor
    max_length: Tensor
    positions: Tensor
    early: Tensor

    @classmethod
    def unpacked(cls, counts: Tensor) -> Counts:
        """From `Slots.counts`, (4, slots), brought to the device."""
        columns, max_length, positions, early = counts[..., None]
        return cls(columns, max_length, positions, early.bool())


class Slots:
    """The state of ``count`` slots whose grids have room for ``columns`` columns."""

    def __init__(
        self,
        settings: GenerationSettings,
        *,
        count: int,
        codebooks: int,
        columns: int,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.busy = np.zeros(count, np.bool_)
        self.done = np.zeros(count, np.bool_)
        self.columns = np.ones(count, np.int64)
        self._index = np.zeros(count, np.int64)
        self._failed = np.zeros(count, np.bool_)
        self._prefix = np.zeros(count, np.int64)
        self._max_length = np.full(count, columns, np.int64)
        self._grid = torch.full((count, codebooks, columns), settings.bos_token_id, device=device)
        self._uniforms = torch.zeros(count, codebooks, columns, device=device, dtype=torch.float64)
        self._ended = torch.zeros(count, codebooks, dtype=torch.bool, device=device)
        # Whether each codebook has an end token anywhere, the start column included.
        self._has_eos = torch.zeros_like(self._ended)
        self._first_unfinished = torch.zeros(count, 1, dtype=torch.int64, device=device)
        self._codebook = torch.arange(codebooks, device=device)

    def begin(self, slot: int, *, index: int, prefix: int, max_length: int, seed: int) -> None:
        """Give a free slot to the request at ``index``, whose text takes ``prefix`` positions.

        Its random numbers come from a stream of its own, the generator that ``seed`` names.
        """
        settings = self.settings
        self.busy[slot], self.done[slot] = True, False
        self._index[slot], self._failed[slot] = index, False
        self._prefix[slot], self.columns[slot], self._max_length[slot] = prefix, 1, max_length
        self._grid[slot] = settings.bos_token_id
        self._ended[slot] = False
        self._has_eos[slot] = settings.bos_token_id == settings.eos_token_id
        self._first_unfinished[slot] = 0
        if settings.do_sample:
            stream = torch.Generator().manual_seed(seed)
            shape = (max_length, len(self._codebook))
            numbers = torch.rand(shape, generator=stream, dtype=torch.float64)
            self._uniforms[slot, :, :max_length] = numbers.T

    def positions(self) -> NDArray[np.int64]:
        """Where each slot's newest column goes in the cache, (slots,); 0 for an idle one."""
        return np.where(self.busy, self._prefix + self.columns - 1, 0)

    def counts(self, rows: slice = EVERY) -> NDArray[np.int64]:
        """What `newest` and `choose` need to know of the ``rows``, (4, slots); see `Counts`."""
        columns = self.columns[rows]
        early = columns <= self.settings.min_new_tokens
        return np.stack((columns, self._max_length[rows], self.positions()[rows], early))

    def newest(self, counts: Counts) -> Tensor:
        """The newest column of each slot as the model sees it, (slots, 1, codebooks)."""
        column = counts.columns - 1
        ids = self._grid.gather(2, column.expand_as(self._ended)[..., None])[..., 0]
        return delayed(ids, column, counts.max_length, self.settings)[:, None]

    def choose(self, logits: Tensor, counts: Counts, rows: slice = EVERY) -> Tensor:
        """Write the next column of the ``rows``, whose logits these are: (slots, codebooks,
        vocabulary). The logits are used up. Gives the flags that `advance` reads, (2, slots).

        A slot whose logits are not finite, or become so when a low temperature divides them, is
        not sound.
        """
        # NaN is passed on by both, and is neither more nor less; two quick passes beat one that
        # looks at each number.
        sound = (logits.amin(dim=(1, 2)) > -torch.inf) & (logits.amax(dim=(1, 2)) < torch.inf)
        self._forbid_ends(logits, counts.early, rows)
        # An idle slot's count may lie behind the last column.
        column = counts.columns.clamp(max=self._grid.shape[2] - 1)
        column = column.expand_as(self._ended[rows])[..., None]
        if self.settings.do_sample:
            scores = warped(logits, self.settings)
            sound &= scores.amax(dim=(1, 2)).isfinite()
            uniforms = self._uniforms[rows].gather(2, column)[..., 0]
            tokens = drawn(scores.softmax(dim=-1), uniforms)
        else:
            tokens = likeliest(logits)
        tokens = torch.where(
            self._ended[rows] | ~sound[:, None], self.settings.pad_token_id, tokens
        )
        self._grid[rows].scatter_(2, column, tokens[..., None])
        is_eos = tokens == self.settings.eos_token_id
        self._ended[rows] |= is_eos
        self._has_eos[rows] |= is_eos
        return torch.stack((sound, self._ended[rows].all(dim=1)))

    def advance(self, flags: Tensor, rows: slice = EVERY) -> None:
        """Count the column that `choose` wrote; the one place that waits for the device."""
        sound, ended = flags.cpu().numpy()
        busy = self.busy[rows]
        self._failed[rows] |= busy & ~sound
        self.columns[rows] += busy & sound
        full = self.columns[rows] >= self._max_length[rows]
        self.done[rows] = busy & (self._failed[rows] | ended | full)

    def so_far(self, slot: int, *, codebook_size: int) -> Generated:
        """What the request in ``slot`` has come to.

        Frames with an id that the codec has no entry for are left out: they are what follows the
        end, or what a stranger's checkpoint made up.
        """
        columns = int(self.columns[slot])
        grid = self._grid[slot, :, :columns].cpu()
        codes = undelayed(grid, int(self._max_length[slot]), self.settings)
        failure = f"the logits of column {columns} were not finite" if self._failed[slot] else None
        return Generated(
            index=int(self._index[slot]),
            codes=codes[:, (codes < codebook_size).all(dim=0)],
            columns=columns,
            done=bool(self.done[slot]),
            truncated=bool(self.done[slot]) and not bool(self._ended[slot].all()),
            failure=failure,
        )

    def _forbid_ends(self, logits: Tensor, early: Tensor, rows: slice) -> None:
        """Lower the end's logits where it may not come yet."""
        first = self._first_unfinished[rows]
        # A codebook may end only once the one before it has; each column frees one more.
        frees = self._has_eos[rows].gather(1, first) & (first < len(self._codebook) - 1)
        first += frees
        forbidden = (self._codebook > first) | early
        logits[..., self.settings.eos_token_id].masked_fill_(forbidden, -torch.inf)
