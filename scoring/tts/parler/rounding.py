"""Which batch sizes round alike, so that a sound does not depend on how many are spoken at once.

Matrix products take other paths for other shapes and then differ in the last bit, which is enough
for a sampled token to tip. Which shapes share a path depends on library and machine: it is tried.
"""

from __future__ import annotations

import torch

from scoring.tts.parler.attention import KeyValueCache, Memory
from scoring.tts.parler.model import ParlerDecoder

_POSITIONS = 16


@torch.inference_mode()
def sizes_rounding_alike(model: ParlerDecoder, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the ascending ``sizes`` whose logits equal the largest's to the last bit.

    They are found by one step of the whole model on random inputs, the same on every call. The
    largest is always among them, even where a hostile model's logits are NaN and equal nothing.
    """
    decoder, like = model.config.decoder, model.like
    largest = sizes[-1]
    stream = torch.Generator().manual_seed(0)
    inputs = torch.randn(largest, 1, decoder.hidden_size, generator=stream).to(like)
    cache = KeyValueCache.allocate(decoder, decoder.num_key_value_heads, largest, _POSITIONS, like)
    past = torch.randn(cache.keys_values.shape[1:], generator=stream)
    cache.keys_values[:] = past.to(like)

    def logits(slots: int) -> torch.Tensor:
        positions = torch.full((slots, 1), _POSITIONS - 1, device=like.device)
        memory = Memory.allocate(decoder, 1, slots, _POSITIONS, like)
        rows = KeyValueCache(cache.keys_values[:, :slots])
        return model(inputs[:slots], positions, rows, memory)

    reference = logits(largest)
    alike = [size for size in sizes[:-1] if torch.equal(logits(size), reference[:size])]
    return (*alike, largest)
