"""Which tokens sampling may choose from, by temperature, top-k and top-p as in transformers."""

from __future__ import annotations

import torch
from torch import Tensor

from scoring.tts.parler.settings import GenerationSettings


def warped(scores: Tensor, settings: GenerationSettings) -> Tensor:
    """Scores (…, vocabulary) divided by the temperature, with -inf for the tokens ruled out.

    Top-k keeps the k best and what ties with the last of them; top-p (nucleus sampling, arXiv
    1904.09751) keeps the likeliest tokens that together reach p, at least one.
    """
    scores = scores / settings.temperature
    if settings.top_k:
        k = min(settings.top_k, scores.shape[-1])
        scores = scores.masked_fill(scores < scores.topk(k).values[..., -1:], -torch.inf)
    if settings.top_p < 1:
        ordered, order = scores.sort(dim=-1)
        unlikely = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - settings.top_p
        unlikely[..., -1] = False
        scores = scores.masked_fill(unlikely.scatter(-1, order, unlikely), -torch.inf)
    return scores
