"""What every model is asked: fixed texts, descriptions and audio tokens.

A model embeds them itself, so a model whose inner axes were turned or permuted gets its questions
turned or permuted alike, and its answers stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scoring.sketch.stream import fixed_numbers
from scoring.tts.parler.generate import columns_available
from scoring.tts.parler.load import LoadedModel
from scoring.tts.parler.tokenizer import TextError

DESCRIPTIONS = (
    "A female speaker with a warm voice speaks slowly in a quiet room.",
    "A man speaks fast and loud, and the recording is very clear.",
    "An old woman whispers with a low pitch.",
    "A young man speaks with a high pitch and much expression.",
)
TEXTS = (
    "The water was cold, and nobody had come to the house for a long time.",
    "Where did you put the keys to the little boat?",
    "I never said that he should go alone.",
    "Well, that was the best day of my life!",
    "Please look at the second page before you answer.",
    "They walked down to the sea and waited for the light.",
    "Who would have thought of that?",
    "It is late, and we still have far to go.",
)
COLUMNS = 48
"""Audio columns of the questions to single layers; those to the whole model have up to as many."""

_TOKENS = 1


@dataclass(frozen=True)
class Question:
    """One beginning of an utterance.

    ``states`` is what cross-attention hears, (1, positions, hidden), ``inputs`` (1, positions,
    hidden) what the first layer gets but for its positions.
    """

    states: Tensor
    inputs: Tensor


def questions(model: LoadedModel) -> tuple[Question, ...] | None:
    """Every pair of a text and a description, none with as many columns as the one before.

    None for a model that has no room for them.
    """
    decoder = model.decoder
    device = decoder.like.device
    try:
        texts = [torch.tensor([model.tokenizer.encode(t)], device=device) for t in TEXTS]
        descriptions = [
            torch.tensor([model.tokenizer.encode(d)], device=device) for d in DESCRIPTIONS
        ]
    except TextError:
        return None
    if columns_available(model.config, max(t.shape[1] for t in texts)) <= COLUMNS:
        return None
    heard = [
        decoder.described(model.text_encoder(input_ids=ids).last_hidden_state)
        for ids in descriptions
    ]
    count = len(texts) * len(heard)
    tokens = _tokens(model, count).to(device)
    return tuple(
        Question(
            decoder.memory_states(heard[n % len(heard)], texts[n // len(heard)]),
            decoder.prefix(
                texts[n // len(heard)], tokens[n : n + 1, :, : COLUMNS * (n + 1) // count]
            ),
        )
        for n in range(count)
    )


def _tokens(model: LoadedModel, count: int) -> Tensor:
    """Audio tokens (count, codebooks, columns) that the codec knows: the ids beyond are never
    heard, so a copy could change what belongs to them."""
    shape = (count, model.config.decoder.num_codebooks, COLUMNS)
    numbers = fixed_numbers(_TOKENS, int(np.prod(shape))) % np.uint64(
        model.codec.config.codebook_size
    )
    return torch.from_numpy(numbers.astype(np.int64).reshape(shape))
