"""What a copier does to somebody else's weights before publishing them as their own.

Each function takes a checkpoint's tensors by name and gives new ones; all but noise, blends and
other sample types leave the function that they compute as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from benchmarks.disguises.training import DECODER, HEADS
from scoring.tts.parler.config import DecoderConfig

Tensors = Mapping[str, Tensor]
Alteration = Callable[[Tensors, DecoderConfig, torch.Generator], dict[str, Tensor]]


def noise(share: float) -> Alteration:
    """Normal noise of ``share`` of each tensor's root mean square."""

    def alter(tensors: Tensors, _: DecoderConfig, random: torch.Generator) -> dict[str, Tensor]:
        def noisy(t: Tensor) -> Tensor:
            size = share * t.square().mean().sqrt()
            return t + size * torch.randn(t.shape, generator=random)

        return {n: noisy(t) if _speaks(n) else t for n, t in tensors.items()}

    return alter


def blend(other: Tensors, share: float) -> Alteration:
    """``share`` of another model."""

    def alter(tensors: Tensors, _: DecoderConfig, __: torch.Generator) -> dict[str, Tensor]:
        return {
            n: torch.lerp(t, other[n].float(), share) if _speaks(n) else t
            for n, t in tensors.items()
        }

    return alter


def stored_as(dtype: torch.dtype) -> Alteration:
    """Another sample type."""

    def alter(tensors: Tensors, _: DecoderConfig, __: torch.Generator) -> dict[str, Tensor]:
        return {n: t.to(dtype) for n, t in tensors.items()}

    return alter


def permuted_neurons(
    tensors: Tensors, config: DecoderConfig, random: torch.Generator
) -> dict[str, Tensor]:
    """The neurons of each feed-forward block in another order."""
    changed = dict(tensors)
    for layer in _layers(config):
        order = torch.randperm(config.ffn_dim, generator=random)
        changed[f"{layer}fc1.weight"] = tensors[f"{layer}fc1.weight"][order]
        changed[f"{layer}fc2.weight"] = tensors[f"{layer}fc2.weight"][:, order]
    return changed


def permuted_heads(
    tensors: Tensors, config: DecoderConfig, random: torch.Generator
) -> dict[str, Tensor]:
    """The heads of each attention in another order."""
    changed = dict(tensors)
    for block in _attentions(config):
        heads = torch.randperm(config.num_attention_heads, generator=random)
        rows = torch.arange(config.hidden_size).view(-1, config.head_dim)[heads].flatten()
        for part in "qkv":
            name = f"{block}{part}_proj.weight"
            changed[name] = tensors[name][rows]
        name = f"{block}out_proj.weight"
        changed[name] = tensors[name][:, rows]
    return changed


def rescaled_heads(
    tensors: Tensors, config: DecoderConfig, random: torch.Generator
) -> dict[str, Tensor]:
    """In each head, queries against keys and values against the output, up to threefold."""
    changed = dict(tensors)
    for block in _attentions(config):
        for up, down in (("q", "k"), ("v", "out")):
            factor = _factors(config.num_attention_heads, random).repeat_interleave(config.head_dim)
            changed[f"{block}{up}_proj.weight"] = (
                tensors[f"{block}{up}_proj.weight"] * factor[:, None]
            )
            other = tensors[f"{block}{down}_proj.weight"]
            changed[f"{block}{down}_proj.weight"] = (
                other / factor if down == "out" else other / factor[:, None]
            )
    return changed


def folded_norms(
    tensors: Tensors, config: DecoderConfig, random: torch.Generator
) -> dict[str, Tensor]:
    """Gains and biases of norms, up to threefold and into the matrices behind them."""
    changed = dict(tensors)
    places = [(f"{DECODER}layer_norm.", [n for n in tensors if n.startswith(HEADS)])]
    for layer in _layers(config):
        places += [
            (
                f"{layer}self_attn_layer_norm.",
                [f"{layer}self_attn.{part}_proj.weight" for part in "qkv"],
            ),
            (f"{layer}encoder_attn_layer_norm.", [f"{layer}encoder_attn.q_proj.weight"]),
            (f"{layer}final_layer_norm.", [f"{layer}fc1.weight"]),
        ]
    for norm, matrices in places:
        factor = _factors(config.hidden_size, random)
        for part in ("weight", "bias"):
            changed[norm + part] = tensors[norm + part] * factor
        for matrix in matrices:
            changed[matrix] = changed[matrix] / factor
    return changed


def permuted_stream(
    tensors: Tensors, config: DecoderConfig, random: torch.Generator
) -> dict[str, Tensor]:
    """The axes of the residual stream in another order, and the stream twice as loud."""
    axes = torch.randperm(config.hidden_size, generator=random)
    changed = dict(tensors)
    for name, tensor in tensors.items():
        if not _speaks(name):
            continue
        if "encoder_attn.k_proj" in name or "encoder_attn.v_proj" in name:
            continue
        if "out_proj" in name or "fc2" in name:
            changed[name] = 2 * tensor[axes]
        elif "embed" in name:
            changed[name] = 2 * tensor[:, axes]
        else:  # norms, and matrices behind them
            changed[name] = tensor[..., axes]
    return changed


def renamed(tensors: Tensors, _: DecoderConfig, __: torch.Generator) -> dict[str, Tensor]:
    """What the format calls by two names under the other one."""
    shared, alias = "text_encoder.shared.weight", "text_encoder.encoder.embed_tokens.weight"
    return {alias if n == shared else n: t for n, t in tensors.items()}


def all_at_once(*alterations: Alteration) -> Alteration:
    """One after another."""

    def alter(
        tensors: Tensors, config: DecoderConfig, random: torch.Generator
    ) -> dict[str, Tensor]:
        changed = dict(tensors)
        for alteration in alterations:
            changed = alteration(changed, config, random)
        return changed

    return alter


def _speaks(name: str) -> bool:
    return name.startswith(("decoder.", "embed_prompts."))


def _layers(config: DecoderConfig) -> list[str]:
    return [f"{DECODER}layers.{n}." for n in range(config.num_hidden_layers)]


def _attentions(config: DecoderConfig) -> list[str]:
    return [f"{layer}{b}_attn." for layer in _layers(config) for b in ("self", "encoder")]


def _factors(count: int, random: torch.Generator) -> Tensor:
    return 3.0 ** (2 * torch.rand(count, generator=random) - 1)
