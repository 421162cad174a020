"""The Parler-TTS decoder as pure functions of tensors: no loop, no sampling, no files.

Parameter names are those of the checkpoints that parler-tts writes. Every forward pass works on a
batch of slots, each at positions of its own, and writes its keys and values into a static cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.tts.parler.attention import Attention, KeyValueCache, Memory, Rotation
from scoring.tts.parler.config import DecoderConfig, ParlerConfig

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention and feed-forward."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.self_attn = Attention(config, config.num_key_value_heads)
        self.self_attn_layer_norm = nn.LayerNorm(hidden)
        self.encoder_attn = Attention(config, config.num_cross_attention_key_value_heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(hidden)
        self.fc1 = nn.Linear(hidden, config.ffn_dim, bias=False)
        self.fc2 = nn.Linear(config.ffn_dim, hidden, bias=False)
        self.final_layer_norm = nn.LayerNorm(hidden)
        self.activation = _ACTIVATIONS[config.activation_function]

    def feed_forward(self, x: Tensor) -> Tensor:
        """The position-wise block, without its residual."""
        y: Tensor = self.fc2(self.activation(self.fc1(self.final_layer_norm(x))))
        return y


class Decoder(nn.Module):
    """Embeddings and layers."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.ModuleList(
            nn.Embedding(config.vocab_size + 1, config.hidden_size)
            for _ in range(config.num_codebooks)
        )
        if not config.rope_embeddings:
            self.embed_positions = PositionTable(config)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.layer_norm = nn.LayerNorm(config.hidden_size)

    def blocks(self) -> Iterator[DecoderLayer]:
        """The layers in order, with the type that ModuleList forgets."""
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            yield layer

    def embed(self, ids: Tensor) -> Tensor:
        """The sum over codebooks of (slots, codebooks, positions) ids: (slots, positions, hidden).

        Summed in codebook order, because float addition is not associative.
        """
        total: Tensor = self.embed_tokens[0](ids[:, 0])
        for codebook in range(1, self.config.num_codebooks):
            total = total + self.embed_tokens[codebook](ids[:, codebook])
        return total

    def rotation(self, positions: Tensor) -> Rotation | None:
        """RoPE's angles for (slots, positions) positions, or None where the model has no RoPE."""
        if not self.config.rope_embeddings:
            return None
        width = self.config.head_dim
        steps = torch.arange(0, width, 2, dtype=torch.int64, device=positions.device).float()
        frequencies = 1.0 / self.config.rope_theta ** (steps / width)
        angles = positions[..., None].float() * frequencies
        angles = torch.cat((angles, angles), dim=-1)[:, None]
        dtype = self.layer_norm.weight.dtype
        return Rotation(angles.cos().to(dtype), angles.sin().to(dtype))


class PositionTable(nn.Module):
    """Sinusoidal positions, as a table that the checkpoint carries."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.weights = nn.Parameter(
            torch.empty(config.max_position_embeddings, config.hidden_size), requires_grad=False
        )


class DecoderStack(nn.Module):
    """The level of the checkpoint's names that holds the decoder alone."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.decoder = Decoder(config)


class DecoderWithHeads(nn.Module):
    """The decoder and one output head per codebook, or one for all."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.codebooks = config.num_codebooks
        self.model = DecoderStack(config)
        hidden, vocabulary = config.hidden_size, config.vocab_size
        self.lm_heads: nn.Module
        if config.use_fused_lm_heads:
            self.lm_heads = nn.Linear(hidden, vocabulary * self.codebooks, bias=False)
        else:
            self.lm_heads = nn.ModuleList(
                nn.Linear(hidden, vocabulary, bias=False) for _ in range(self.codebooks)
            )

    def logits(self, x: Tensor) -> Tensor:
        """(slots, hidden) to (slots, codebooks, vocabulary), in float32."""
        if isinstance(self.lm_heads, nn.ModuleList):
            return torch.stack([head(x) for head in self.lm_heads], dim=1).float()
        fused: Tensor = self.lm_heads(x)
        return fused.view(x.shape[0], self.codebooks, -1).float()


class ParlerDecoder(nn.Module):
    """Everything of a Parler-TTS model but its text encoder and codec."""

    def __init__(self, config: ParlerConfig) -> None:
        super().__init__()
        hidden = config.decoder.hidden_size
        self.config = config
        self.decoder = DecoderWithHeads(config.decoder)
        self.embed_prompts = nn.Embedding(config.prompt_vocab_size, hidden)
        if config.prompt_cross_attention:
            self.embed_positions = PositionTable(config.decoder)
        if config.projects_encoder:
            self.enc_to_dec_proj = nn.Linear(config.text_encoder.d_model, hidden)

    @property
    def core(self) -> Decoder:
        """The embeddings and layers."""
        return self.decoder.model.decoder

    def memory_states(self, encoded: Tensor, prompt_ids: Tensor) -> Tensor:
        """What cross-attention reads, (1, positions, hidden).

        ``encoded`` is the text encoder's output for the description, (1, positions, width);
        ``prompt_ids`` (1, positions) joins it where the model hears the prompt through
        cross-attention.
        """
        states = self.enc_to_dec_proj(encoded) if self.config.projects_encoder else encoded
        if self.config.prompt_cross_attention:
            prompt = self.embed_prompts(prompt_ids)
            prompt = prompt + self.embed_positions.weights[: prompt.shape[1]]
            states = torch.cat((states, prompt), dim=1)
        return states

    def remember(self, states: Tensor, memory: Memory) -> None:
        """Write the cross-attention keys and values of ``states`` into a one-slot ``memory``."""
        length = states.shape[1]
        memory.cache.clear()
        memory.mask.fill_(False)
        memory.mask[..., :length] = True
        for index, layer in enumerate(self.core.blocks()):
            keys, values = layer.encoder_attn.keys_values(states)
            memory.cache.keys[index, :, :, :length] = keys
            memory.cache.values[index, :, :, :length] = values

    def prefix(self, prompt_ids: Tensor, start_ids: Tensor) -> Tensor:
        """Input of the first pass, (1, positions, hidden): the prompt, if it is prepended, then
        the start column ``start_ids`` (1, codebooks, 1)."""
        start = self.core.embed(start_ids)
        if self.config.prompt_cross_attention:
            return start
        return torch.cat((self.embed_prompts(prompt_ids), start), dim=1)

    def forward(
        self, inputs: Tensor, positions: Tensor, cache: KeyValueCache, memory: Memory
    ) -> Tensor:
        """Logits of each slot's last input, (slots, codebooks, vocabulary), in float32.

        ``inputs`` is (slots, steps, hidden) and ``positions`` (slots, steps) says where in
        ``cache`` each goes; a position sees itself and all before it in its own slot.
        """
        core = self.core
        x = inputs
        if not core.config.rope_embeddings:
            x = x + core.embed_positions.weights[positions]
        rotation = core.rotation(positions)
        rows = torch.arange(x.shape[0], device=x.device)[:, None]
        reach = torch.arange(cache.keys.shape[3], device=x.device)
        visible = reach <= positions[:, None, :, None]
        for index, layer in enumerate(core.blocks()):
            attention = layer.self_attn
            normed = layer.self_attn_layer_norm(x)
            keys, values = attention.keys_values(normed)
            if rotation is not None:
                keys = rotation.apply(keys)
            layer_keys, layer_values = cache.keys[index], cache.values[index]
            layer_keys[rows, :, positions] = keys.transpose(1, 2)
            layer_values[rows, :, positions] = values.transpose(1, 2)
            queries = attention.queries(normed, rotation)
            x = x + attention.attend(queries, layer_keys, layer_values, visible)

            attention = layer.encoder_attn
            # Queries are rotated here too and keys are not: so the models were trained.
            queries = attention.queries(layer.encoder_attn_layer_norm(x), rotation)
            heard = memory.cache.keys[index], memory.cache.values[index]
            x = x + attention.attend(queries, *heard, memory.mask)
            x = x + layer.feed_forward(x)
        return self.decoder.logits(core.layer_norm(x[:, -1]))
