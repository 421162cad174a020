"""Audio tokens to sound: the decoding half of the DAC codec."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scoring.tts.parler.codec_names import PREFIX, locate
from scoring.tts.parler.config import CodecConfig

if TYPE_CHECKING:
    from transformers import DacModel

# Frames decoded at a time: the codec of mini v1 works in about a megabyte a frame. A GPU takes more
# of them, because starting the kernels of a short window takes longer than running them. All
# windows but an utterance's first and last are of one shape.
WINDOW_FRAMES = {"cpu": 128, "cuda": 512}


class Codec:
    """Decodes audio tokens. Created without memory on the meta device; `fill` gives it weights."""

    def __init__(self, config: CodecConfig) -> None:
        self.config = config
        self._model = blank_model(config)

    def expected(self, present: AbstractSet[str]) -> dict[str, tuple[int, ...]]:
        """The tensors, by name and shape, that a checkpoint with the given names must hold.

        The encoding half, which speaking does not need, is expected too.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for parameter, value in self._model.state_dict().items():
            source = locate(parameter, tuple(value.shape), self.config, present)
            shapes.update(zip(source.names, source.shapes, strict=True))
        return shapes

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the weights of a checkpoint that holds what `expected` asks for.

        Weight norm is folded once, here, and not at every decoding.
        """
        del self._model.encoder
        fill_model(self._model, self.config, tensors)

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Sound in [-1, 1], (samples,), of (codebooks, frames) codes on the host, at least one
        frame of them.

        It is made window by window, so that memory does not grow with the length. Raises
        IndexError when a code lies outside its codebook.
        """
        frames, step = codes.shape[1], WINDOW_FRAMES[self._model.device.type]
        starts = range(0, frames, step)
        return torch.cat([self.window(codes, n, min(n + step, frames)) for n in starts])

    @torch.inference_mode()
    def window(self, codes: Tensor, start: int, stop: int) -> Tensor:
        """The part of `decode` that belongs to the frames from ``start`` to ``stop``.

        Up to rounding it is the same from any ``codes`` that hold these frames and
        `context_frames` more on either side, or all there are. Raises IndexError like `decode`.
        """
        if not 0 <= int(codes.min()) <= int(codes.max()) < self.config.codebook_size:
            raise IndexError(f"audio code outside [0, {self.config.codebook_size})")
        context = context_frames(self.config)
        first = max(0, start - context)
        heard = codes[None, :, first : stop + context].to(self._model.device)
        latent = self._model.quantizer.from_codes(heard)[0]
        decoded: Tensor = self._model.decoder(latent)[0, 0]
        hop = self.config.hop_length
        # Odd strides make the whole a few samples short of its frames; the last window shows it.
        end = None if stop == codes.shape[1] else (stop - first) * hop
        return decoded[(start - first) * hop : end]


def blank_model(config: CodecConfig) -> DacModel:
    """The whole codec without memory, on the meta device."""
    from transformers import DacConfig, DacModel  # noqa: PLC0415 - two seconds, often needless

    with torch.device("meta"):
        return DacModel(
            DacConfig(
                encoder_hidden_size=config.encoder_hidden_size,
                decoder_hidden_size=config.decoder_hidden_size,
                downsampling_ratios=list(config.downsampling_ratios),
                n_codebooks=config.n_codebooks,
                codebook_size=config.codebook_size,
                codebook_dim=config.codebook_dim,
                sampling_rate=config.sampling_rate,
            )
        ).eval()


def fill_model(model: DacModel, config: CodecConfig, tensors: Mapping[str, Tensor]) -> None:
    """Give ``model``, whole or what is left of it, its weights; weight norm is folded."""
    state = {}
    for parameter, value in model.state_dict().items():
        source = locate(parameter, tuple(value.shape), config, tensors.keys())
        parts = [tensors[name] for name in source.names]
        state[parameter] = parts[0] if len(parts) == 1 else _fold(*parts)
    model.load_state_dict(state, assign=True)


def context_frames(config: CodecConfig) -> int:
    """How many frames to either side have a part in the sound of one frame.

    Followed from the last convolution back to the first: a kernel of 7 reaches 3 to a side, each
    stage's three residual units have kernels of 7 with dilations 1, 3 and 9, and a transposed
    convolution's kernel of two strides reaches one input further.
    """
    reach = 3
    for stride in config.downsampling_ratios:
        reach = math.ceil((reach + 3 * (1 + 3 + 9)) / stride) + 1
    return reach + 3


def needed(name: str) -> bool:
    """Whether a checkpoint's codec tensor takes part in decoding."""
    return not name.startswith((f"{PREFIX}encoder.", f"{PREFIX}model.encoder."))


def _fold(magnitude: Tensor, direction: Tensor) -> Tensor:
    # The norm is taken over all but the first dimension, for transposed convolutions too.
    norm = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True)
    folded: Tensor = direction * (magnitude / norm)
    return folded
