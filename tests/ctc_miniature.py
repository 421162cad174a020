"""A miniature recogniser with a CTC output, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLU"]


def make_ctc(directory: Path) -> None:
    """A checkpoint of the published form; its letters are random, its files are not."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(LETTERS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        pad_token_id=0,
    )
    model = Wav2Vec2ForCTC(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(50.0)
    model.save_pretrained(directory)
    Wav2Vec2FeatureExtractor().save_pretrained(directory)
    vocabulary = {letter: index for index, letter in enumerate(LETTERS)}
    (directory / "vocab.json").write_text(json.dumps(vocabulary))
