"""A checkpoint directory turned into modules with weights, every part of it checked."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.torch_device import torch_device
from scoring.tts.parler.checkpoint import Weights, read_weights
from scoring.tts.parler.codec import Codec, needed
from scoring.tts.parler.codec_names import PREFIX as CODEC
from scoring.tts.parler.config import (
    ParlerConfig,
    approximate_parameters,
    load_config,
)
from scoring.tts.parler.memory import check_free, default_limit, most_slots, weights_bytes
from scoring.tts.parler.model import ParlerDecoder
from scoring.tts.parler.parameters import Parameters, decoder_shapes
from scoring.tts.parler.precision import DTYPES, Precision, lowered, usual_precision
from scoring.tts.parler.settings import SETTINGS_FILE, GenerationSettings, load_settings
from scoring.tts.parler.threads import pin_threads
from scoring.tts.parler.tokenizer import Tokenizer

if TYPE_CHECKING:
    from transformers import T5EncoderModel

_TEXT_ENCODER = "text_encoder."
# T5 shares one table under two names, and a checkpoint may keep it under either or both.
_SHARED = _TEXT_ENCODER + "shared.weight"
_SHARED_ALIAS = _TEXT_ENCODER + "encoder.embed_tokens.weight"
_TOKENIZER_FILES = (
    "added_tokens.json",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
)

# How many requests may be decoded side by side, by device. Beyond the last, a step takes longer in
# proportion to its slots.
SLOT_COUNTS = {"cpu": (4, 8, 16, 32), "cuda": (4, 8, 16, 32, 64, 128, 256)}


@dataclass(frozen=True)
class LoadedModel:
    """A whole model, ready to speak. ``most_slots`` requests fit side by side; `ParlerEngine`
    documents the fields after that."""

    config: ParlerConfig
    settings: GenerationSettings
    tokenizer: Tokenizer
    text_encoder: T5EncoderModel
    decoder: ParlerDecoder
    codec: Codec
    most_slots: int
    weights_digest: str
    own_assets: tuple[str, ...]
    ignored: tuple[str, ...]

    def speaking_in(self, precision: Precision) -> LoadedModel:
        """The same model with its decoder in ``precision``; this one stays as it is."""
        parameters = lowered(self.decoder.parameters, precision)
        return replace(self, decoder=replace(self.decoder, parameters=parameters))


@dataclass(frozen=True)
class Place:
    """Where a model is to live: a device, the bytes of its memory that may be used, and in what
    it will speak there. It is loaded in float32 all the same."""

    device: torch.device
    memory_limit: int
    precision: Precision = "float32"

    @classmethod
    def on(
        cls, device: str, *, memory_limit: int | None = None, precision: Precision | None = None
    ) -> Place:
        """The place that the arguments of `ParlerEngine.load` describe.

        Raises ScoringError (BAD_REQUEST, DEVICE_UNAVAILABLE).
        """
        where = torch_device(device)
        limit = default_limit(where) if memory_limit is None else memory_limit
        return cls(where, limit, precision or usual_precision(where))

    def prepare(self, config: ParlerConfig, settings: GenerationSettings) -> int:
        """How many requests fit side by side, judged before anything is allocated.

        Raises ScoringError (CONFIG_TOO_LARGE, OUT_OF_MEMORY).
        """
        if self.device.type == "cpu":
            pin_threads(approximate_parameters(config))
        number_bytes = DTYPES[self.precision].itemsize
        slots = most_slots(
            config,
            settings,
            limit=self.memory_limit,
            candidates=SLOT_COUNTS[self.device.type],
            number_bytes=number_bytes,
        )
        # While it is lowered, a part of the model is there in both precisions.
        lowering = weights_bytes(config) * number_bytes // 4 if number_bytes < 4 else 0
        check_free(weights_bytes(config) + lowering, "the weights", self.device)
        return slots


def load_model(model_dir: Path, *, place: Place, base_dir: Path | None) -> LoadedModel:
    """Load the checkpoint in ``model_dir``; see `ParlerEngine.load`."""
    if not model_dir.is_dir():
        raise ScoringError(
            FailureCode.BAD_REQUEST, f"{model_dir} is not a directory", "Name a model directory."
        )
    config = load_config(model_dir)
    if base_dir is None:
        return _load_alone(model_dir, config, place)
    return _load_on_base(model_dir, config, base_dir, place)


def _load_alone(model_dir: Path, config: ParlerConfig, place: Place) -> LoadedModel:
    settings = load_settings(model_dir, config.decoder)
    most = place.prepare(config, settings)
    tokenizer = _tokenizer(model_dir, config)
    text_encoder = _text_encoder(config)
    codec = Codec(config.codec)
    weights = read_weights(
        model_dir,
        expected=lambda present: {
            **_expected(config, text_encoder, present),
            **codec.expected(present),
        },
        skip=lambda _: False,
        keep=needed,
        device=place.device,
    )
    _fill(text_encoder, weights)
    codec.fill(weights.tensors)
    decoder = ParlerDecoder(config, Parameters.take(weights.tensors, config))
    return LoadedModel(
        config,
        settings,
        tokenizer,
        text_encoder,
        decoder,
        codec,
        most,
        weights_digest=weights.digest,
        own_assets=("tokenizer", "codec", "generation settings"),
        ignored=(),
    )


def _load_on_base(
    model_dir: Path, config: ParlerConfig, base_dir: Path, place: Place
) -> LoadedModel:
    base = _Base.load(base_dir, place.device)
    _check_fits(config, base)
    most = place.prepare(config, base.settings)
    text_encoder = _text_encoder(config)
    weights = read_weights(
        model_dir,
        expected=lambda present: _expected(config, text_encoder, present),
        skip=lambda name: name.startswith(CODEC),
        keep=lambda _: True,
        device=place.device,
    )
    _fill(text_encoder, weights)
    decoder = ParlerDecoder(config, Parameters.take(weights.tensors, config))
    ignored = [name for name in (*_TOKENIZER_FILES, SETTINGS_FILE) if (model_dir / name).exists()]
    if weights.skipped:
        ignored.append(f"{CODEC}* ({len(weights.skipped)} tensors)")
    return LoadedModel(
        config,
        base.settings,
        base.tokenizer,
        text_encoder,
        decoder,
        base.codec,
        most,
        weights_digest=weights.digest,
        own_assets=(),
        ignored=tuple(ignored),
    )


@dataclass(frozen=True)
class _Base:
    """What the evaluator brings itself: the base model without its speaking part."""

    config: ParlerConfig
    settings: GenerationSettings
    tokenizer: Tokenizer
    codec: Codec

    @classmethod
    def load(cls, base_dir: Path, device: torch.device) -> _Base:
        """Raises ScoringError (ASSET_MISSING): a broken base is no fault of the submission."""
        try:
            config = load_config(base_dir)
            settings = load_settings(base_dir, config.decoder)
            tokenizer = _tokenizer(base_dir, config)
            codec = Codec(config.codec)
            weights = read_weights(
                base_dir,
                expected=codec.expected,
                skip=lambda name: not name.startswith(CODEC),
                keep=needed,
                device=device,
            )
        except ScoringError as error:
            raise ScoringError(
                FailureCode.ASSET_MISSING,
                f"the base model in {base_dir} cannot be used: {error.message}",
                "Install the base model's complete repository on the evaluator.",
            ) from error
        codec.fill(weights.tensors)
        return cls(config, settings, tokenizer, codec)


def _check_fits(config: ParlerConfig, base: _Base) -> None:
    """Refuse a submission that the base model's tokenizer, codec or settings do not suit, or that
    cannot be told from a copy: weights are compared layer by layer."""
    decoder, base_decoder = config.decoder, base.config.decoder
    for name, own, needed_by_base in (
        ("stack of decoder layers", decoder.num_hidden_layers, base_decoder.num_hidden_layers),
        ("decoder codebooks", decoder.num_codebooks, base_decoder.num_codebooks),
        ("decoder vocabulary", decoder.vocab_size, base_decoder.vocab_size),
        ("prompt vocabulary", config.prompt_vocab_size, base.config.prompt_vocab_size),
        (
            "text encoder vocabulary",
            config.text_encoder.vocab_size,
            base.config.text_encoder.vocab_size,
        ),
    ):
        if own != needed_by_base:
            raise ScoringError(
                FailureCode.CONFIG_INVALID,
                f"the {name} has size {own}, the base model's has {needed_by_base}",
                "Submit a fine-tune of the base model.",
            )


def expected_tensors(config: ParlerConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a checkpoint's tensors, with T5's table under its first name and the
    codec's convolutions folded. Nothing is allocated."""
    nothing: frozenset[str] = frozenset()
    return {
        **_expected(config, _text_encoder(config), nothing),
        **Codec(config.codec).expected(nothing),
    }


def _tokenizer(model_dir: Path, config: ParlerConfig) -> Tokenizer:
    # One tokenizer reads both the text and the description.
    return Tokenizer(model_dir, min(config.prompt_vocab_size, config.text_encoder.vocab_size))


def _text_encoder(config: ParlerConfig) -> T5EncoderModel:
    from transformers import T5Config, T5EncoderModel  # noqa: PLC0415 - two seconds, often needless

    encoder = config.text_encoder
    with torch.device("meta"):
        return T5EncoderModel(
            T5Config(
                vocab_size=encoder.vocab_size,
                d_model=encoder.d_model,
                d_kv=encoder.d_kv,
                d_ff=encoder.d_ff,
                num_layers=encoder.num_layers,
                num_heads=encoder.num_heads,
                relative_attention_num_buckets=encoder.relative_attention_num_buckets,
                relative_attention_max_distance=encoder.relative_attention_max_distance,
                layer_norm_epsilon=encoder.layer_norm_epsilon,
                feed_forward_proj=encoder.feed_forward_proj,
            )
        ).eval()


def _expected(
    config: ParlerConfig, text_encoder: T5EncoderModel, present: AbstractSet[str]
) -> dict[str, tuple[int, ...]]:
    shapes = {_TEXT_ENCODER + n: tuple(t.shape) for n, t in text_encoder.state_dict().items()}
    table = shapes.pop(_SHARED)
    shapes.pop(_SHARED_ALIAS, None)
    names = [name for name in (_SHARED, _SHARED_ALIAS) if name in present] or [_SHARED]
    shapes.update(dict.fromkeys(names, table))
    return shapes | decoder_shapes(config)


def _fill(text_encoder: T5EncoderModel, weights: Weights) -> None:
    tensors = weights.tensors
    table = tensors.get(_SHARED, tensors.get(_SHARED_ALIAS))
    assert table is not None, "the names were checked while loading"
    if not torch.equal(table, tensors.get(_SHARED_ALIAS, table)):
        raise ScoringError(
            FailureCode.TENSOR_MISMATCH,
            f"{_SHARED} and {_SHARED_ALIAS} are one table to T5 but differ here",
            "Save the checkpoint again with parler-tts.",
        )
    text_encoder.load_state_dict(
        {
            name: table
            if name in ("shared.weight", "encoder.embed_tokens.weight")
            else tensors[_TEXT_ENCODER + name]
            for name in text_encoder.state_dict()
        },
        assign=True,
    )
