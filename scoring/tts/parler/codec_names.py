"""Where the codec's tensors lie in a checkpoint.

The codec runs as transformers' DacModel. Checkpoints hold it either under that model's names or
under descript-audio-codec's, and its convolutions either folded or split into magnitude and
direction (weight norm, arXiv 1602.07868), in torch's old spelling or its new one.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from scoring.tts.parler.config import CodecConfig

PREFIX = "audio_encoder."
_DESCRIPT_PREFIX = PREFIX + "model."
# (magnitude, direction) as torch.nn.utils.weight_norm and torch's parametrizations spell them.
_WEIGHT_NORM_SPELLINGS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
_UNIT_PARTS = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
_ENCODER_BLOCK_PARTS = {"res_unit1": 0, "res_unit2": 1, "res_unit3": 2, "snake1": 3, "conv1": 4}
_DECODER_BLOCK_PARTS = {"snake1": 0, "conv_t1": 1, "res_unit1": 2, "res_unit2": 3, "res_unit3": 4}


@dataclass(frozen=True)
class Source:
    """The checkpoint tensors that make one parameter: one as it is, or magnitude and direction."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]


def locate(
    parameter: str, shape: tuple[int, ...], config: CodecConfig, present: AbstractSet[str]
) -> Source:
    """Where a checkpoint with the ``present`` tensor names keeps a parameter of DacModel."""
    if config.layout == "descript":
        name = _DESCRIPT_PREFIX + descript_name(parameter, len(config.downsampling_ratios))
    else:
        name = PREFIX + parameter
    if name not in present and name.endswith(".weight") and len(shape) == 3:
        module = name.removesuffix("weight")
        magnitude_shape = (shape[0], 1, 1)
        for magnitude, direction in _WEIGHT_NORM_SPELLINGS:
            if module + direction in present:
                names = (module + magnitude, module + direction)
                return Source(names, (magnitude_shape, shape))
    return Source((name,), (shape,))


def descript_name(parameter: str, ratios: int) -> str:
    """The name that descript-audio-codec gives to a parameter of transformers' DacModel.

    ``ratios`` is the number of down- and upsampling stages. descript's model is nested
    Sequentials, so the names are their indices.
    """
    module, _, leaf = parameter.rpartition(".")
    if module.startswith("quantizer."):
        return parameter
    half, _, rest = module.partition(".")
    outer = "encoder.block" if half == "encoder" else "decoder.model"
    block = re.fullmatch(r"block\.(\d+)\.(\w+)(?:\.(\w+))?", rest)
    if block is None:
        index = {"conv1": 0, "snake1": ratios + 1, "conv2": ratios + 2}[rest]
        return f"{outer}.{index}.{leaf}"
    parts = _ENCODER_BLOCK_PARTS if half == "encoder" else _DECODER_BLOCK_PARTS
    name = f"{outer}.{int(block[1]) + 1}.block.{parts[block[2]]}"
    if block[3] is not None:
        name += f".block.{_UNIT_PARTS[block[3]]}"
    return f"{name}.{leaf}"
