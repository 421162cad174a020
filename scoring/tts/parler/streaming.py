"""Sound piece by piece, while the rest is still being decoded."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, chain, repeat

from torch import Tensor

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.parler.codec import Codec, context_frames
from scoring.tts.parler.generate import GenerationInput, Generator

# Frames of new sound in a piece: a short first one is soon heard, and longer ones spend less on
# the context that is decoded again with each.
FIRST_FRAMES = 8
FRAMES = 43


def stream_codes(generator: Generator, request: GenerationInput, codec: Codec) -> Iterator[Tensor]:
    """Yield the sound of a request in pieces, (samples,).

    A piece is decoded once the frames that have a part in it are there, so that joining pieces
    gives the sound of the whole. Raises ScoringError (NUMERIC_FAILURE).
    """
    context = context_frames(codec.config)
    codebooks = generator.model.config.decoder.num_codebooks
    frames = accumulate(chain([FIRST_FRAMES], repeat(FRAMES)))
    said = 0
    for generated in generator.follow(request, (n + context + codebooks for n in frames)):
        if generated.failure is not None:
            raise ScoringError(FailureCode.NUMERIC_FAILURE, generated.failure)
        known = generated.codes.shape[1]
        ready = known if generated.done else known - context
        if ready > said:
            yield codec.window(generated.codes, said, ready)
            said = ready
