"""The shape of a Parler-TTS checkpoint, read from its ``config.json`` and refused if absurd."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scoring.tts.parler.fields import Fields, invalid, read_json_object, too_large

CONFIG_FILE = "config.json"
MAX_LAYERS = 128
MAX_HIDDEN = 16_384
MAX_FEED_FORWARD = 65_536
MAX_HEADS = 256
MAX_TEXT_VOCABULARY = 524_288
MAX_AUDIO_VOCABULARY = 65_536
MAX_CODEBOOKS = 32
MAX_POSITIONS = 65_536
MAX_PARAMETERS = 4_000_000_000
# Frames per second that a speech codec can sensibly have; DAC has 86, others 12.5 to 150.
MIN_FRAME_RATE, MAX_FRAME_RATE = 10.0, 200.0

# What descript-audio-codec fixes in code for its 44.1 kHz model and no config states.
DESCRIPT_ENCODER_HIDDEN = 64
DESCRIPT_DECODER_HIDDEN = 1_536
DESCRIPT_RATIOS = (2, 4, 8, 8)
DESCRIPT_CODEBOOK_DIM = 8


@dataclass(frozen=True)
class TextEncoderConfig:
    """The T5 encoder that reads voice descriptions."""

    vocab_size: int
    d_model: int
    d_kv: int
    d_ff: int
    num_layers: int
    num_heads: int
    relative_attention_num_buckets: int
    relative_attention_max_distance: int
    layer_norm_epsilon: float
    feed_forward_proj: str


@dataclass(frozen=True)
class DecoderConfig:
    """The decoder that writes audio tokens. ``vocab_size`` is per codebook, without padding."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    ffn_dim: int
    num_attention_heads: int
    num_key_value_heads: int
    num_cross_attention_key_value_heads: int
    max_position_embeddings: int
    activation_function: str
    num_codebooks: int
    rope_embeddings: bool
    rope_theta: float
    use_fused_lm_heads: bool

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True)
class CodecConfig:
    """The DAC codec. ``layout`` says whose tensor names the checkpoint uses for it."""

    layout: Literal["transformers", "descript"]
    encoder_hidden_size: int
    decoder_hidden_size: int
    downsampling_ratios: tuple[int, ...]
    n_codebooks: int
    codebook_size: int
    codebook_dim: int
    sampling_rate: int

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.downsampling_ratios)

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sampling_rate / self.hop_length


@dataclass(frozen=True)
class ParlerConfig:
    """A whole Parler-TTS model. ``prompt_vocab_size`` counts the tokens of the text to speak."""

    prompt_vocab_size: int
    prompt_cross_attention: bool
    text_encoder: TextEncoderConfig
    decoder: DecoderConfig
    codec: CodecConfig

    @property
    def projects_encoder(self) -> bool:
        """Whether encoder states need a projection to the decoder's width."""
        return self.text_encoder.d_model != self.decoder.hidden_size


def load_config(model_dir: Path) -> ParlerConfig:
    """Parse ``config.json`` of the checkpoint in ``model_dir``.

    Nothing is allocated: the sizes are judged from the numbers alone. Raises ScoringError
    (CONFIG_INVALID, CONFIG_TOO_LARGE).
    """
    values = read_json_object(model_dir / CONFIG_FILE)
    if values.get("model_type") != "parler_tts":
        raise invalid(f"{CONFIG_FILE} is of model type {values.get('model_type')!r:.100}, "
                      "not 'parler_tts'")  # fmt: skip
    _refuse_remote_code(values)
    fields = Fields(values, CONFIG_FILE)
    config = ParlerConfig(
        prompt_vocab_size=fields.integer("vocab_size", 1, MAX_TEXT_VOCABULARY, 1_024),
        prompt_cross_attention=fields.boolean("prompt_cross_attention", False),
        text_encoder=_text_encoder(fields.section("text_encoder")),
        decoder=_decoder(fields.section("decoder")),
        codec=_codec(fields.section("audio_encoder")),
    )
    if config.decoder.num_codebooks > config.codec.n_codebooks:
        raise invalid(
            f"{CONFIG_FILE}: the decoder writes {config.decoder.num_codebooks} codebooks, "
            f"the codec reads {config.codec.n_codebooks}"
        )
    parameters = approximate_parameters(config)
    if parameters > MAX_PARAMETERS:
        raise too_large(
            f"{CONFIG_FILE} describes {parameters:,} parameters, more than {MAX_PARAMETERS:,}"
        )
    return config


def approximate_parameters(config: ParlerConfig) -> int:
    """Parameters of the model's matrices; norms and biases, under a percent, are left out."""
    text, decoder, codec = config.text_encoder, config.decoder, config.codec
    hidden = decoder.hidden_size
    kv_heads = decoder.num_key_value_heads + decoder.num_cross_attention_key_value_heads
    per_layer = 4 * hidden**2 + 2 * hidden * kv_heads * decoder.head_dim
    per_layer += 2 * hidden * decoder.ffn_dim
    per_token = 2 * decoder.num_codebooks * hidden
    t5_layer = 4 * text.d_model * text.num_heads * text.d_kv + 3 * text.d_model * text.d_ff
    return (
        decoder.num_hidden_layers * per_layer
        + (decoder.vocab_size + 1) * per_token
        + (config.prompt_vocab_size + 2 * decoder.max_position_embeddings) * hidden
        + text.num_layers * t5_layer
        + (text.vocab_size + hidden) * text.d_model
        + _approximate_codec_parameters(codec)
    )


def _approximate_codec_parameters(codec: CodecConfig) -> int:
    latent: int = codec.encoder_hidden_size * 2 ** len(codec.downsampling_ratios)
    total: int = 3 * latent**2 + 7 * latent * codec.decoder_hidden_size
    for depth, ratio in enumerate(codec.downsampling_ratios):
        narrow = codec.encoder_hidden_size * 2**depth
        total += 24 * narrow**2 + 4 * ratio * narrow**2
    for depth, ratio in enumerate(reversed(codec.downsampling_ratios)):
        narrow = codec.decoder_hidden_size // 2 ** (depth + 1)
        total += 24 * narrow**2 + 4 * ratio * narrow**2
    total += codec.n_codebooks * codec.codebook_dim * (codec.codebook_size + 2 * latent)
    return total


def _refuse_remote_code(value: object) -> None:
    if isinstance(value, dict):
        if "auto_map" in value:
            raise invalid(f"{CONFIG_FILE} has an 'auto_map': code of the repository is never run")
        for item in value.values():
            _refuse_remote_code(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_remote_code(item)


def _text_encoder(fields: Fields) -> TextEncoderConfig:
    fields.choice("model_type", ("t5",))
    text_encoder = TextEncoderConfig(
        vocab_size=fields.integer("vocab_size", 1, MAX_TEXT_VOCABULARY),
        d_model=fields.integer("d_model", 1, MAX_HIDDEN),
        d_kv=fields.integer("d_kv", 1, MAX_HIDDEN),
        d_ff=fields.integer("d_ff", 1, MAX_FEED_FORWARD),
        num_layers=fields.integer("num_layers", 1, MAX_LAYERS),
        num_heads=fields.integer("num_heads", 1, MAX_HEADS),
        relative_attention_num_buckets=fields.integer(
            "relative_attention_num_buckets", 4, 1_024, 32
        ),
        relative_attention_max_distance=fields.integer(
            "relative_attention_max_distance", 2, 65_536, 128
        ),
        layer_norm_epsilon=fields.number("layer_norm_epsilon", 1e-12, 1.0, 1e-6),
        feed_forward_proj=fields.choice("feed_forward_proj", ("relu", "gated-gelu"), "relu"),
    )
    # A quarter of the buckets hold one distance each; the logarithmic ones come after those.
    exact = text_encoder.relative_attention_num_buckets // 4
    if text_encoder.relative_attention_max_distance <= exact:
        raise invalid(f"{fields.where}: relative_attention_max_distance is not above {exact}")
    return text_encoder


def _decoder(fields: Fields) -> DecoderConfig:
    heads = fields.integer("num_attention_heads", 1, MAX_HEADS)
    kv_heads = fields.integer("num_key_value_heads", 1, MAX_HEADS, heads)
    decoder = DecoderConfig(
        vocab_size=fields.integer("vocab_size", 2, MAX_AUDIO_VOCABULARY),
        hidden_size=fields.integer("hidden_size", 4, MAX_HIDDEN),
        num_hidden_layers=fields.integer("num_hidden_layers", 1, MAX_LAYERS),
        ffn_dim=fields.integer("ffn_dim", 1, MAX_FEED_FORWARD),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        num_cross_attention_key_value_heads=fields.integer(
            "num_cross_attention_key_value_heads", 1, MAX_HEADS, kv_heads
        ),
        max_position_embeddings=fields.integer("max_position_embeddings", 2, MAX_POSITIONS, 2_048),
        activation_function=fields.choice(
            "activation_function", ("gelu", "relu", "silu", "gelu_new"), "gelu"
        ),
        num_codebooks=fields.integer("num_codebooks", 1, MAX_CODEBOOKS),
        rope_embeddings=fields.boolean("rope_embeddings", False),
        rope_theta=fields.number("rope_theta", 1.0, 1e9, 10_000.0),
        use_fused_lm_heads=fields.boolean("use_fused_lm_heads", False),
    )
    if decoder.hidden_size % heads or decoder.head_dim % 2:
        raise invalid(f"{fields.where}: {heads} heads do not divide the hidden size evenly")
    for groups in (decoder.num_key_value_heads, decoder.num_cross_attention_key_value_heads):
        if heads % groups:
            raise invalid(f"{fields.where}: {groups} key-value heads do not divide {heads} heads")
    if fields.values.get("cross_attention_hidden_size") is not None:
        raise invalid(f"{fields.where}: cross_attention_hidden_size is not supported")
    return decoder


def _codec(fields: Fields) -> CodecConfig:
    model_type = fields.choice("model_type", ("dac", "dac_on_the_hub"))
    # Older revisions call descript's codec `dac` too; only its config has a latent width.
    if model_type == "dac_on_the_hub" or "latent_dim" in fields.values:
        codec = _descript_codec(fields)
    else:
        codec = _transformers_codec(fields)
    if not MIN_FRAME_RATE <= codec.frame_rate <= MAX_FRAME_RATE:
        raise invalid(f"{fields.where}: {codec.frame_rate:.1f} frames per second are no speech "
                      f"codec's: {MIN_FRAME_RATE} to {MAX_FRAME_RATE} are accepted")  # fmt: skip
    if codec.decoder_hidden_size % 2 ** len(codec.downsampling_ratios):
        raise invalid(f"{fields.where}: decoder_hidden_size cannot be halved at each upsampling")
    return codec


def _descript_codec(fields: Fields) -> CodecConfig:
    latent = DESCRIPT_ENCODER_HIDDEN * 2 ** len(DESCRIPT_RATIOS)
    if fields.integer("latent_dim", 1, MAX_HIDDEN, latent) != latent:
        raise invalid(f"{fields.where}: latent_dim is not {latent}, as in every published DAC")
    return CodecConfig(
        layout="descript",
        encoder_hidden_size=DESCRIPT_ENCODER_HIDDEN,
        decoder_hidden_size=DESCRIPT_DECODER_HIDDEN,
        downsampling_ratios=DESCRIPT_RATIOS,
        codebook_dim=DESCRIPT_CODEBOOK_DIM,
        **_common_codec_fields(fields, "num_codebooks"),
    )


def _transformers_codec(fields: Fields) -> CodecConfig:
    return CodecConfig(
        layout="transformers",
        encoder_hidden_size=fields.integer("encoder_hidden_size", 1, 1_024, 64),
        decoder_hidden_size=fields.integer("decoder_hidden_size", 2, MAX_HIDDEN, 1_536),
        downsampling_ratios=fields.integers("downsampling_ratios", 2, 64, 8, (2, 4, 8, 8)),
        codebook_dim=fields.integer("codebook_dim", 1, MAX_HIDDEN, 8),
        **_common_codec_fields(fields, "n_codebooks"),
    )


def _common_codec_fields(fields: Fields, codebooks_name: str) -> dict[str, Any]:
    return {
        "n_codebooks": fields.integer(codebooks_name, 1, MAX_CODEBOOKS, 9),
        "codebook_size": fields.integer("codebook_size", 1, MAX_AUDIO_VOCABULARY, 1_024),
        "sampling_rate": fields.integer("sampling_rate", 8_000, 96_000),
    }
