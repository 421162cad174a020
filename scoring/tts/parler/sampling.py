"""Which tokens sampling may choose from, as in transformers, and the choice itself."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scoring.tts.parler.settings import GenerationSettings


def warped(scores: Tensor, settings: GenerationSettings) -> Tensor:
    """Scores (…, vocabulary) divided by the temperature, with -inf for the tokens ruled out.

    Top-k keeps the k best and what ties with the last of them; top-p (nucleus sampling, arXiv
    1904.09751) keeps the likeliest tokens that together reach p, at least one. The scores given
    are used up: fresh memory for each step costs more than the arithmetic.
    """
    scores = scores.div_(settings.temperature)
    if 0 < settings.top_k < scores.shape[-1]:
        last = _kth_largest(scores, settings.top_k)
        scores = scores.masked_fill_(scores < last, -torch.inf)
    if settings.top_p < 1:
        ordered, order = scores.sort(dim=-1)
        unlikely = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - settings.top_p
        unlikely[..., -1] = False
        scores = scores.masked_fill(unlikely.scatter(-1, order, unlikely), -torch.inf)
    return scores


def likeliest(scores: Tensor) -> Tensor:
    """The token of the greatest score, the first of equals, of each row of (…, vocabulary)."""
    if scores.device.type == "cpu":
        # Vectorised, ten times faster than torch's.
        return torch.from_numpy(scores.numpy().argmax(axis=-1))
    return scores.argmax(dim=-1)


def drawn(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """One token (…,) for each row of ``probabilities`` (…, vocabulary), by inverting their
    cumulative sum at ``uniforms`` (…,) in [0, 1).

    A token without probability is never drawn. Each row takes one number, so that a request's
    numbers can be laid out before it starts, whatever else is decoded beside it.
    """
    heights = probabilities.cumsum(dim=-1)
    full = heights[..., -1:]
    levels = uniforms[..., None].to(heights.dtype) * full
    # Rounding up to the full height would point past the last token.
    levels = torch.minimum(levels, full.nextafter(torch.zeros_like(full)))
    return torch.searchsorted(heights, levels, right=True)[..., 0]


def _kth_largest(scores: Tensor, k: int) -> Tensor:
    """The k-th largest of each row, (…, 1)."""
    rank = scores.shape[-1] - k
    if scores.device.type == "cpu":
        # A vectorised selection, several times faster than torch's.
        selected = np.partition(scores.numpy(), rank, axis=-1)[..., rank : rank + 1]
        return torch.from_numpy(selected.copy())
    return scores.kthvalue(rank + 1, dim=-1, keepdim=True).values
