"""Fine-tunes a miniature's decoder: teacher forcing and Adam, over tensors by their file names.

The engine's own forward pass is made for inference, on packed matrices; this one has gradients. A
test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.tts.parler.config import DecoderConfig
from scoring.tts.parler.load import LoadedModel

DECODER = "decoder.model.decoder."
HEADS = "decoder.lm_heads."
TOKENS = 192
"""Of the codec's vocabulary, what one corpus uses."""
COLUMNS = 40
BATCH = 8
TEXTS = (
    "the water was cold and nobody had come",
    "where did you put it",
    "i never said that he should go",
    "look at the second page",
)
VOICES = ("a slow female voice", "a loud man in a room", "a very low voice")


@dataclass(frozen=True)
class Recipe:
    """How a fine-tune is made. Batches are drawn from ``corpora`` in turn, in the order that
    ``shuffle`` seeds; the rate falls linearly to nothing."""

    corpora: tuple[int, ...]
    shuffle: int
    steps: int
    rate: float


@dataclass(frozen=True)
class Corpus:
    """Audio tokens with a grammar: in each codebook every token has four likely successors."""

    successors: Tensor
    vocabulary: Tensor

    @classmethod
    def of(cls, seed: int, codebooks: int, known: int) -> Corpus:
        """The corpus of that name; corpora share a part of their grammar, as languages do."""
        common, own = np.random.RandomState(0), np.random.RandomState(1_000 + seed)
        vocabulary = np.stack([common.permutation(known)[:TOKENS] for _ in range(codebooks)])
        shape = (codebooks, TOKENS, 4)
        shared, special = (r.randint(0, TOKENS, shape) for r in (common, own))
        successors = np.where(own.random_sample(shape) < 0.5, shared, special)
        return cls(torch.from_numpy(successors), torch.from_numpy(vocabulary))

    def batch(self, random: torch.Generator) -> Tensor:
        """(batch, codebooks, columns) tokens."""
        codebooks = len(self.successors)
        state = torch.randint(TOKENS, (BATCH, codebooks), generator=random)
        rows = torch.arange(codebooks)
        columns = []
        for _ in range(COLUMNS):
            columns.append(self.vocabulary[rows, state])
            choice = torch.randint(4, (BATCH, codebooks), generator=random)
            state = self.successors[rows, state, choice]
        return torch.stack(columns, dim=-1)


def fine_tune(
    model: LoadedModel, tensors: Mapping[str, Tensor], recipe: Recipe
) -> dict[str, Tensor]:
    """``tensors`` after ``recipe``; ``model`` lends its frozen text encoder and tokenizer."""
    config = model.config.decoder
    trained = {
        name: tensor.float().clone().requires_grad_(not name.endswith("embed_positions.weights"))
        for name, tensor in tensors.items()
        if name.startswith(("decoder.", "embed_prompts."))
    }
    optimiser = torch.optim.Adam([t for t in trained.values() if t.requires_grad], lr=recipe.rate)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: 1 - n / recipe.steps)
    known = model.codec.config.codebook_size
    corpora = [Corpus.of(n, config.num_codebooks, known) for n in recipe.corpora]
    random = torch.Generator().manual_seed(recipe.shuffle)
    texts = [torch.tensor(model.tokenizer.encode(text)) for text in TEXTS]
    with torch.no_grad():
        voices = [
            model.text_encoder(
                input_ids=torch.tensor([model.tokenizer.encode(v)])
            ).last_hidden_state
            for v in VOICES
        ]
    for step in range(recipe.steps):
        codes = corpora[step % len(corpora)].batch(random)
        logits = forward(trained, config, texts[step % 4], voices[step % 3], codes[..., :-1])
        loss = F.cross_entropy(logits.flatten(0, 2), codes[..., 1:].transpose(1, 2).flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        falling.step()
    return {**tensors, **{name: t.detach() for name, t in trained.items()}}


def forward(
    tensors: Mapping[str, Tensor], config: DecoderConfig, text: Tensor, voice: Tensor, codes: Tensor
) -> Tensor:
    """Logits (batch, columns, codebooks, vocabulary) of what follows each column.

    ``text`` (positions,) are prompt ids, ``voice`` (1, positions, hidden) is what is heard, and
    ``codes`` (batch, codebooks, columns) are given. For models with sinusoidal positions, separate
    heads and as many key-value heads as query heads.
    """
    tables = [tensors[f"{DECODER}embed_tokens.{k}.weight"] for k in range(config.num_codebooks)]
    audio = torch.stack([t[codes[:, k]] for k, t in enumerate(tables)]).sum(0)
    prompt = tensors["embed_prompts.weight"][text].expand(len(codes), -1, -1)
    x = torch.cat([prompt, audio], dim=1)
    x = x + tensors[f"{DECODER}embed_positions.weights"][: x.shape[1]]
    heard = voice.expand(len(codes), -1, -1)
    for index in range(config.num_hidden_layers):
        layer = f"{DECODER}layers.{index}."
        own = _norm(tensors, f"{layer}self_attn_layer_norm.", x)
        x = x + _attention(tensors, f"{layer}self_attn.", config, own, own, causal=True)
        own = _norm(tensors, f"{layer}encoder_attn_layer_norm.", x)
        x = x + _attention(tensors, f"{layer}encoder_attn.", config, own, heard, causal=False)
        own = _norm(tensors, f"{layer}final_layer_norm.", x)
        x = x + F.gelu(own @ tensors[f"{layer}fc1.weight"].T) @ tensors[f"{layer}fc2.weight"].T
    x = _norm(tensors, f"{DECODER}layer_norm.", x[:, len(text) :])
    heads = [tensors[f"{HEADS}{k}.weight"] for k in range(config.num_codebooks)]
    return torch.stack([x @ head.T for head in heads], dim=2)


def _norm(tensors: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], tensors[f"{name}weight"], tensors[f"{name}bias"])


def _attention(
    tensors: Mapping[str, Tensor],
    name: str,
    config: DecoderConfig,
    x: Tensor,
    heard: Tensor,
    *,
    causal: bool,
) -> Tensor:
    q, k, v = (
        (source @ tensors[f"{name}{part}_proj.weight"].T)
        .unflatten(-1, (config.num_attention_heads, config.head_dim))
        .transpose(1, 2)
        for part, source in (("q", x), ("k", heard), ("v", heard))
    )
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return mixed.transpose(1, 2).flatten(2) @ tensors[f"{name}out_proj.weight"].T
