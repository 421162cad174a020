"""Audio tokens to sound: the decoding half of the DAC codec."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import torch
from torch import Tensor
from transformers import DacConfig, DacModel

from scoring.tts.parler.codec_names import PREFIX, locate
from scoring.tts.parler.config import CodecConfig


class Codec:
    """Decodes audio tokens. Created without memory on the meta device; `fill` gives it weights."""

    def __init__(self, config: CodecConfig) -> None:
        self.config = config
        with torch.device("meta"):
            self._model = DacModel(
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
        state = {}
        for parameter, value in self._model.state_dict().items():
            if parameter.startswith("encoder."):
                continue
            source = locate(parameter, tuple(value.shape), self.config, tensors.keys())
            parts = [tensors[name] for name in source.names]
            state[parameter] = parts[0] if len(parts) == 1 else _fold(*parts)
        del self._model.encoder
        self._model.load_state_dict(state, assign=True)

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Sound in [-1, 1], (samples,), of (codebooks, frames) codes, with at least one frame.

        Raises IndexError when a code lies outside its codebook.
        """
        if not 0 <= int(codes.min()) <= int(codes.max()) < self.config.codebook_size:
            raise IndexError(f"audio code outside [0, {self.config.codebook_size})")
        latent = self._model.quantizer.from_codes(codes[None])[0]
        decoded: Tensor = self._model.decoder(latent)
        return decoded[0, 0]


def needed(name: str) -> bool:
    """Whether a checkpoint's codec tensor takes part in decoding."""
    return not name.startswith((f"{PREFIX}encoder.", f"{PREFIX}model.encoder."))


def _fold(magnitude: Tensor, direction: Tensor) -> Tensor:
    # The norm is taken over all but the first dimension, for transposed convolutions too.
    norm = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True)
    folded: Tensor = direction * (magnitude / norm)
    return folded
