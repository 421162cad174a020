"""The architecture rule beside the evaluator's own bounds, which have the last word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.tts.parler import config as evaluator
from utilities.admission_architecture import problems_of_parler_config

CONFIG: dict[str, Any] = {
    "model_type": "parler_tts",
    "architectures": ["ParlerTTSForConditionalGeneration"],
    "text_encoder": {"model_type": "t5", "d_model": 1_024, "num_layers": 24, "vocab_size": 32_128},
    "decoder": {
        "hidden_size": 1_024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "num_codebooks": 9,
        "vocab_size": 1_088,
    },
    "audio_encoder": {"model_type": "dac", "sampling_rate": 44_100},
}


@given(
    hidden=st.integers(4, evaluator.MAX_HIDDEN),
    layers=st.integers(1, evaluator.MAX_LAYERS),
    heads=st.integers(1, evaluator.MAX_HEADS),
    codebooks=st.integers(1, evaluator.MAX_CODEBOOKS),
    vocabulary=st.integers(2, evaluator.MAX_AUDIO_VOCABULARY),
)
def test_no_decoder_is_refused_that_the_evaluator_would_look_at(
    hidden: int, layers: int, heads: int, codebooks: int, vocabulary: int
) -> None:
    decoder = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_codebooks": codebooks,
        "vocab_size": vocabulary,
    }
    assert problems_of_parler_config({**CONFIG, "decoder": decoder}) is None


@given(
    width=st.integers(1, evaluator.MAX_HIDDEN),
    layers=st.integers(1, evaluator.MAX_LAYERS),
    vocabulary=st.integers(1, evaluator.MAX_TEXT_VOCABULARY),
)
def test_no_text_encoder_is_refused_that_the_evaluator_would_look_at(
    width: int, layers: int, vocabulary: int
) -> None:
    text_encoder = {
        "model_type": "t5",
        "d_model": width,
        "num_layers": layers,
        "vocab_size": vocabulary,
    }
    assert problems_of_parler_config({**CONFIG, "text_encoder": text_encoder}) is None


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("decoder", "hidden_size", evaluator.MAX_HIDDEN + 1),
        ("decoder", "num_hidden_layers", evaluator.MAX_LAYERS + 1),
        ("decoder", "num_codebooks", 0),
        ("decoder", "num_attention_heads", 16.0),
        ("text_encoder", "vocab_size", evaluator.MAX_TEXT_VOCABULARY + 1),
        ("text_encoder", "num_layers", True),
        ("audio_encoder", "sampling_rate", 1),
    ],
)
def test_a_size_beyond_the_evaluators_is_told_by_its_field(
    section: str, field: str, value: object
) -> None:
    config = {**CONFIG, section: {**CONFIG[section], field: value}}
    assert f"{section}.{field}" in (problems_of_parler_config(config) or "")
