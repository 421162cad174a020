"""The delay pattern: codebook k lags k columns, so one column holds parts of several frames."""

from __future__ import annotations

import torch
from torch import Tensor

from scoring.tts.parler.settings import GenerationSettings


def delayed(
    ids: Tensor, columns: Tensor, max_length: Tensor | int, settings: GenerationSettings
) -> Tensor:
    """Lay the delay pattern over ``ids`` (…, codebooks) of the grid's ``columns`` (…, 1).

    Codebook k reads as the start token up to column k, and as padding in the last columns before
    ``max_length``, an integer or (…, 1), which later codebooks still need.
    """
    codebooks = ids.shape[-1]
    codebook = torch.arange(codebooks, device=ids.device)
    ids = ids.where(columns > codebook, settings.bos_token_id)
    return ids.where(columns < codebook + max_length - codebooks + 1, settings.pad_token_id)


def undelayed(grid: Tensor, max_length: int, settings: GenerationSettings) -> Tensor:
    """The (codebooks, frames) that a (codebooks, columns) grid holds whole.

    Fewer than 2 × codebooks − 1 columns hold no whole frame that ended properly: parler-tts makes
    silence of them, here they give no frame.
    """
    codebooks, columns = grid.shape
    if columns < 2 * codebooks - 1:
        return grid[:, :0]
    column = torch.arange(columns, device=grid.device)[:, None]
    ids = delayed(grid.T, column, max_length, settings).T
    frames = columns - codebooks
    return torch.stack([ids[k, k + 1 : k + 1 + frames] for k in range(codebooks)])
