"""Generation settings: ``generation_config.json`` read as transformers' generate() reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scoring.tts.parler.config import MAX_POSITIONS, DecoderConfig
from scoring.tts.parler.fields import Fields, invalid, read_json_object

SETTINGS_FILE = "generation_config.json"
# transformers samples among the 50 likeliest tokens unless told otherwise.
DEFAULT_TOP_K = 50
DEFAULT_MAX_LENGTH = 20

# Settings that would change what is said and that Parler-TTS does not use, with the values under
# which they do nothing.
_UNUSED = {
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "num_return_sequences": (1,),
    "guidance_scale": (1,),
    "repetition_penalty": (1,),
    "encoder_repetition_penalty": (1,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "typical_p": (1,),
    "min_p": (0,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "penalty_alpha": (0,),
    "min_length": (0,),
    "bad_words_ids": (),
    "suppress_tokens": (),
    "begin_suppress_tokens": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "forced_decoder_ids": (),
    "sequence_bias": (),
    "exponential_decay_length_penalty": (),
    "watermarking_config": (),
}


@dataclass(frozen=True)
class GenerationSettings:
    """How tokens are chosen and when to stop.

    ``max_length`` counts columns of the delayed token grid, the start column included;
    ``min_new_tokens`` counts columns after it. ``top_k`` 0 and ``top_p`` 1 are off.
    """

    bos_token_id: int
    eos_token_id: int
    pad_token_id: int
    do_sample: bool
    temperature: float
    top_k: int
    top_p: float
    min_new_tokens: int
    max_length: int


def load_settings(model_dir: Path, decoder: DecoderConfig) -> GenerationSettings:
    """Parse ``generation_config.json`` in ``model_dir`` for the given decoder.

    Raises ScoringError (CONFIG_INVALID, CONFIG_TOO_LARGE).
    """
    fields = Fields(read_json_object(model_dir / SETTINGS_FILE), SETTINGS_FILE)
    for name, neutral in _UNUSED.items():
        value = fields.values.get(name)
        if value is not None and value not in neutral:
            raise invalid(f"{SETTINGS_FILE}: {name} = {value!r:.100} is not supported")
    eos = fields.index("eos_token_id", decoder.vocab_size)
    max_new_tokens = fields.integer("max_new_tokens", 0, MAX_POSITIONS, 0)
    max_length = max_new_tokens + 1 if max_new_tokens else None
    settings = GenerationSettings(
        # The embedding has one more row than the heads have outputs, for the padding token.
        bos_token_id=fields.index("bos_token_id", decoder.vocab_size + 1),
        eos_token_id=eos,
        pad_token_id=fields.index("pad_token_id", decoder.vocab_size + 1, eos),
        do_sample=fields.boolean("do_sample", False),
        temperature=fields.number("temperature", 1e-3, 100.0, 1.0),
        top_k=fields.integer("top_k", 0, 1_000_000, DEFAULT_TOP_K),
        top_p=fields.number("top_p", 1e-6, 1.0, 1.0),
        min_new_tokens=fields.integer("min_new_tokens", 0, MAX_POSITIONS, 0),
        max_length=max_length or fields.integer("max_length", 1, MAX_POSITIONS, DEFAULT_MAX_LENGTH),
    )
    shortest = 2 * decoder.num_codebooks - 1
    if settings.max_length < shortest:
        raise invalid(
            f"{SETTINGS_FILE}: max_length (or max_new_tokens + 1) is {settings.max_length}, but "
            f"{decoder.num_codebooks} delayed codebooks need {shortest} columns for any frame"
        )
    return settings
