"""What a ``config.json`` must say for the TTS competition. Pure.

The evaluator judges every number again while it loads the model. Here only what no Parler-TTS can
be is refused, so that it never reaches a worker.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

ARCHITECTURE = "ParlerTTSForConditionalGeneration"
MAX_PROBLEMS_TOLD = 3

Width = Annotated[int, Field(strict=True, ge=1, le=16_384)]
Depth = Annotated[int, Field(strict=True, ge=1, le=128)]
Vocabulary = Annotated[int, Field(strict=True, ge=1, le=524_288)]


class _Section(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class _TextEncoder(_Section):
    model_type: Literal["t5"]
    d_model: Width
    num_layers: Depth
    vocab_size: Vocabulary


class _Decoder(_Section):
    model_type: Literal["parler_tts_decoder"] = "parler_tts_decoder"
    hidden_size: Width
    num_hidden_layers: Depth
    num_attention_heads: Annotated[int, Field(strict=True, ge=1, le=256)]
    num_codebooks: Annotated[int, Field(strict=True, ge=1, le=32)]
    vocab_size: Annotated[int, Field(strict=True, ge=2, le=65_536)]


class _Codec(_Section):
    model_type: Literal["dac", "dac_on_the_hub"]
    sampling_rate: Annotated[int, Field(strict=True, ge=8_000, le=96_000)]


class _ParlerConfig(_Section):
    model_type: Literal["parler_tts"]
    architectures: tuple[Literal["ParlerTTSForConditionalGeneration"]]
    text_encoder: _TextEncoder
    decoder: _Decoder
    audio_encoder: _Codec


def problems_of_parler_config(config: dict[str, Any]) -> str | None:
    """What keeps ``config`` from being a Parler-TTS model's, or None."""
    try:
        _ParlerConfig.model_validate(config)
    except ValidationError as error:
        told = [
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False)[:MAX_PROBLEMS_TOLD]
        ]
        return "; ".join(told)
    return None
