"""config.json and generation_config.json: what is read, what is refused before any allocation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scoring.contract import FailureCode
from scoring.errors import ScoringError
from scoring.tts.parler.codec_names import descript_name
from scoring.tts.parler.config import ParlerConfig, load_config
from scoring.tts.parler.load import expected_tensors
from scoring.tts.parler.settings import GenerationSettings, load_settings

Change = Callable[[dict[str, Any]], None]


def _mini_v1() -> dict[str, Any]:
    """The fields that matter of parler-tts-mini-v1's config.json."""
    return {
        "model_type": "parler_tts",
        "prompt_cross_attention": False,
        "vocab_size": 32_128,
        "text_encoder": {
            "model_type": "t5",
            "vocab_size": 32_128,
            "d_model": 1_024,
            "d_kv": 64,
            "d_ff": 2_816,
            "num_layers": 24,
            "num_heads": 16,
            "relative_attention_num_buckets": 32,
            "relative_attention_max_distance": 128,
            "layer_norm_epsilon": 1e-06,
            "feed_forward_proj": "gated-gelu",
        },
        "audio_encoder": {
            "model_type": "dac_on_the_hub",
            "codebook_size": 1_024,
            "frame_rate": 86,
            "latent_dim": 1_024,
            "model_bitrate": 8,
            "num_codebooks": 9,
            "sampling_rate": 44_100,
        },
        "decoder": {
            "model_type": "parler_tts_decoder",
            "activation_function": "gelu",
            "cross_attention_hidden_size": None,
            "ffn_dim": 4_096,
            "hidden_size": 1_024,
            "max_position_embeddings": 4_096,
            "num_attention_heads": 16,
            "num_codebooks": 9,
            "num_cross_attention_key_value_heads": 16,
            "num_hidden_layers": 24,
            "num_key_value_heads": 16,
            "rope_embeddings": False,
            "rope_theta": 10_000.0,
            "use_fused_lm_heads": False,
            "vocab_size": 1_088,
        },
    }


def _load(directory: Path, change: Change) -> ParlerConfig:
    values = _mini_v1()
    change(values)
    (directory / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return load_config(directory)


def _setting(section: str, name: str, value: object) -> Change:
    return lambda values: values[section].__setitem__(name, value)


def test_mini_v1_has_its_878_million_parameters(tmp_path: Path) -> None:
    config = _load(tmp_path, lambda _: None)
    parameters = 0
    for shape in expected_tensors(config).values():
        size = 1
        for side in shape:
            size *= side
        parameters += size
    assert parameters == pytest.approx(878e6, rel=0.01)


def test_older_revisions_call_descripts_codec_dac_too(tmp_path: Path) -> None:
    named_dac = _load(tmp_path, _setting("audio_encoder", "model_type", "dac"))
    assert named_dac == _load(tmp_path, lambda _: None)
    assert named_dac.codec.layout == "descript"
    assert named_dac.codec.hop_length == 512
    assert named_dac.codec.frame_rate == pytest.approx(86.13, abs=0.01)


def test_key_value_heads_default_to_each_other(tmp_path: Path) -> None:
    def grouped(values: dict[str, Any]) -> None:
        values["decoder"]["num_key_value_heads"] = 4
        values["decoder"]["num_cross_attention_key_value_heads"] = None

    decoder = _load(tmp_path, grouped).decoder
    assert (decoder.num_key_value_heads, decoder.num_cross_attention_key_value_heads) == (4, 4)


@pytest.mark.parametrize(
    "change",
    [
        _setting("decoder", "num_hidden_layers", 10**6),
        _setting("decoder", "hidden_size", 2**40),
        _setting("decoder", "ffn_dim", 10**400),
        _setting("decoder", "vocab_size", 2**31),
        _setting("decoder", "num_attention_heads", 10**9),
        _setting("decoder", "num_codebooks", 10**6),
        _setting("decoder", "max_position_embeddings", 2**60),
        _setting("text_encoder", "num_layers", 10**6),
        _setting("text_encoder", "vocab_size", 2**60),
        _setting("text_encoder", "d_ff", 2**60),
        _setting("audio_encoder", "codebook_size", 2**60),
        _setting("audio_encoder", "sampling_rate", 10**9),
        lambda values: values.update(vocab_size=2**60),
        # Each size within its bound, all together not.
        lambda values: values["decoder"].update(
            hidden_size=16_384, ffn_dim=65_536, num_hidden_layers=128, num_attention_heads=128
        ),
        lambda values: values["text_encoder"].update(d_model=16_384, d_ff=65_536, num_layers=128),
        lambda values: values.update(
            audio_encoder={
                "model_type": "dac",
                "encoder_hidden_size": 1_024,
                "decoder_hidden_size": 16_384,
                "downsampling_ratios": [2, 2, 2, 2, 2, 2, 2, 2],
                "sampling_rate": 44_100,
            }
        ),
    ],
)
def test_absurd_size_is_refused_from_the_number_alone(tmp_path: Path, change: Change) -> None:
    with pytest.raises(ScoringError) as caught:
        _load(tmp_path, change)
    assert caught.value.code is FailureCode.CONFIG_TOO_LARGE


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda values: values.update(model_type="llama"), "llama"),
        (lambda values: values.pop("model_type"), "None"),
        (lambda values: values.update(auto_map={"AutoModel": "evil.Model"}), "auto_map"),
        (_setting("decoder", "auto_map", {}), "auto_map"),
        (lambda values: values.update(extra=[{"auto_map": {}}]), "auto_map"),
        (lambda values: values.pop("decoder"), "decoder"),
        (lambda values: values.update(text_encoder=[]), "text_encoder"),
        (_setting("text_encoder", "model_type", "bert"), "bert"),
        (_setting("text_encoder", "feed_forward_proj", "gated-evil"), "feed_forward_proj"),
        (_setting("text_encoder", "relative_attention_max_distance", 8), "max_distance"),
        (_setting("audio_encoder", "model_type", "encodec"), "encodec"),
        (_setting("audio_encoder", "latent_dim", 512), "latent_dim"),
        (_setting("audio_encoder", "sampling_rate", 8_000.5), "sampling_rate"),
        (_setting("decoder", "hidden_size", 0), "hidden_size"),
        (_setting("decoder", "hidden_size", -1_024), "hidden_size"),
        (_setting("decoder", "hidden_size", "1024"), "hidden_size"),
        (_setting("decoder", "hidden_size", True), "hidden_size"),
        (_setting("decoder", "hidden_size", 1_000), "heads"),
        (_setting("decoder", "num_key_value_heads", 3), "key-value heads"),
        (_setting("decoder", "num_cross_attention_key_value_heads", 32), "key-value heads"),
        (_setting("decoder", "rope_theta", float("nan")), "rope_theta"),
        (_setting("decoder", "rope_theta", 10**400), "rope_theta"),
        (_setting("decoder", "rope_embeddings", "yes"), "rope_embeddings"),
        (_setting("decoder", "activation_function", "eval"), "activation_function"),
        (_setting("decoder", "cross_attention_hidden_size", 512), "cross_attention_hidden_size"),
        (_setting("decoder", "num_codebooks", 12), "codebooks"),
    ],
)
def test_config_that_makes_no_sense_is_refused(tmp_path: Path, change: Change, named: str) -> None:
    with pytest.raises(ScoringError, match=named) as caught:
        _load(tmp_path, change)
    assert caught.value.code is FailureCode.CONFIG_INVALID


@pytest.mark.parametrize(
    "ratios", [[], [2, 4, 8, "8"], [1, 512], [0, 512], [64, 64, 64], [2, 2], "2488", [2] * 9]
)
def test_codec_whose_frames_are_no_speech_codecs(tmp_path: Path, ratios: object) -> None:
    with pytest.raises(ScoringError) as caught:
        _load(
            tmp_path,
            lambda values: values.update(
                audio_encoder={
                    "model_type": "dac",
                    "downsampling_ratios": ratios,
                    "sampling_rate": 44_100,
                }
            ),
        )
    assert caught.value.code is FailureCode.CONFIG_INVALID


def test_descript_names_of_a_few_parameters_are_those_of_the_published_checkpoint() -> None:
    assert {
        name: descript_name(name, 4)
        for name in (
            "encoder.conv1.weight",
            "encoder.block.3.res_unit2.conv1.bias",
            "encoder.conv2.bias",
            "quantizer.quantizers.8.codebook.weight",
            "decoder.block.0.conv_t1.weight",
            "decoder.block.3.res_unit3.snake2.alpha",
            "decoder.snake1.alpha",
        )
    } == {
        "encoder.conv1.weight": "encoder.block.0.weight",
        "encoder.block.3.res_unit2.conv1.bias": "encoder.block.4.block.1.block.1.bias",
        "encoder.conv2.bias": "encoder.block.6.bias",
        "quantizer.quantizers.8.codebook.weight": "quantizer.quantizers.8.codebook.weight",
        "decoder.block.0.conv_t1.weight": "decoder.model.1.block.1.weight",
        "decoder.block.3.res_unit3.snake2.alpha": "decoder.model.4.block.4.block.2.alpha",
        "decoder.snake1.alpha": "decoder.model.5.alpha",
    }


def _settings(directory: Path, **changed: object) -> GenerationSettings:
    values = {
        "bos_token_id": 1_025,
        "decoder_start_token_id": 1_025,
        "do_sample": True,
        "eos_token_id": 1_024,
        "guidance_scale": 1,
        "max_length": 2_580,
        "min_new_tokens": 10,
        "pad_token_id": 1_024,
    } | changed
    (directory / "generation_config.json").write_text(json.dumps(values), encoding="utf-8")
    return load_settings(directory, _load(directory, lambda _: None).decoder)


def test_settings_that_would_go_on_for_hours(tmp_path: Path) -> None:
    with pytest.raises(ScoringError) as caught:
        _settings(tmp_path, max_length=10**9)
    assert caught.value.code is FailureCode.CONFIG_TOO_LARGE


def test_mini_v1s_generation_settings(tmp_path: Path) -> None:
    assert _settings(tmp_path) == GenerationSettings(
        bos_token_id=1_025,
        eos_token_id=1_024,
        pad_token_id=1_024,
        do_sample=True,
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        min_new_tokens=10,
        max_length=2_580,
    )


def test_max_new_tokens_comes_before_max_length(tmp_path: Path) -> None:
    assert _settings(tmp_path, max_new_tokens=99).max_length == 100


@pytest.mark.parametrize(
    "changed",
    [
        {"eos_token_id": 1_088},
        {"eos_token_id": [1_024]},
        {"eos_token_id": None},
        {"bos_token_id": 1_089},
        {"pad_token_id": -1},
        {"max_length": 16},
        {"max_new_tokens": 5},
        {"temperature": 0},
        {"top_p": 0.0},
        {"top_k": -1},
        {"do_sample": 1},
        {"num_beams": 4},
        {"guidance_scale": 3.0},
        {"repetition_penalty": 1.5},
        {"suppress_tokens": [1_024]},
    ],
)
def test_generation_settings_that_cannot_be_followed(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    with pytest.raises(ScoringError) as caught:
        _settings(tmp_path, **changed)
    assert caught.value.code is FailureCode.CONFIG_INVALID
    assert next(iter(changed)) in caught.value.message
