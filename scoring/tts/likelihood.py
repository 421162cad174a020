"""How likely a checkpoint finds recordings of people: bits per audio token.

The recordings are turned into the codec's tokens, and the model is asked for the probability of
each token given the text and all tokens before it (teacher forcing). A model that learned to speak
finds human speech likelier than its base model does, one that was damaged finds it less likely.

It is reported beside the score and never ranks: it says nothing of what the model itself speaks,
and it favours models trained on speech like these recordings.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from scoring.audio import Audio, check, read_audio, resample
from scoring.contract import MAX_TEXT_CHARS, FailureCode, Likelihood, ParlerModel
from scoring.errors import ScoringError, UnscorableAudioError
from scoring.tts.parler.attention import KeyValueCache, Memory
from scoring.tts.parler.checkpoint import read_weights
from scoring.tts.parler.codec import Codec, blank_model, fill_model
from scoring.tts.parler.codec_names import PREFIX as CODEC
from scoring.tts.parler.config import load_config
from scoring.tts.parler.generate import columns_available
from scoring.tts.parler.load import LoadedModel, Place, load_model
from scoring.tts.parler.tokenizer import TextError

DESCRIPTION = "A person speaks clearly, and the recording is very clean."
"""What every model is told of every recording."""

MANIFEST = "manifest.jsonl"
MAX_MANIFEST_BYTES = 1 << 20
MAX_RECORDINGS = 64
MAX_SECONDS = 6.0
"""Of each recording the beginning is used, so that none weighs more than a few prompts."""


class Recording(BaseModel):
    """One line of the manifest; other fields are ignored."""

    model_config = ConfigDict(frozen=True)

    path: Path = Field(alias="file")
    text: str | None = Field(max_length=MAX_TEXT_CHARS)
    kind: str = "human"


@dataclass(frozen=True)
class Tokenised:
    """A recording as the codec hears it: ``codes`` is (codebooks, frames)."""

    text: str
    codes: Tensor


def measure(model: ParlerModel, recordings: Path, *, device: str) -> Likelihood:
    """Bits per audio token of the checkpoint, and of the base model where one is given.

    ``recordings`` is a directory with a ``manifest.jsonl`` of "file" and "text"; the first 64
    human ones with a text are used. Raises ScoringError: BAD_REQUEST for recordings that cannot
    be used, NUMERIC_FAILURE, and whatever loading raises.
    """
    place = torch.device(device)
    codec_dir = model.base_dir or model.model_dir
    said = read_recordings(recordings)
    tokenised = _tokenise(said, codec_dir, place)
    base = None
    if model.base_dir is not None:
        base = _bits(
            ParlerModel(model_dir=model.base_dir, base_dir=model.base_dir), tokenised, place
        )
    return Likelihood(
        bits_per_token=_bits(model, tokenised, place),
        base_bits_per_token=base,
        recordings=len(tokenised),
        tokens=sum(t.codes.numel() for t in tokenised),
        recordings_digest=_digest(tokenised),
    )


def read_recordings(directory: Path) -> list[tuple[str, Audio]]:
    """Texts and the beginnings of their recordings. Raises ScoringError BAD_REQUEST."""
    manifest = directory / MANIFEST
    try:
        with manifest.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES)
        lines = content.decode().splitlines()
        listed = [Recording.model_validate_json(line) for line in lines]
        used = [r for r in listed if r.kind == "human" and r.text][:MAX_RECORDINGS]
        found = [(r.text or "", _beginning(read_audio(directory / r.path))) for r in used]
    except (OSError, UnicodeDecodeError, ValidationError, UnscorableAudioError) as error:
        raise _bad(f"the recordings of {manifest} cannot be used: {error}") from error
    if not found:
        raise _bad(f"{manifest} lists no human recording with a text")
    return found


@torch.inference_mode()
def bits_per_token(model: LoadedModel, tokenised: Sequence[Tokenised]) -> float:
    """Mean of -log2 p over all audio tokens; the ends of recordings are not counted.

    Raises ScoringError: BAD_REQUEST for a text that leaves no room, NUMERIC_FAILURE.
    """
    bits = sum(_bits_of(model, one) for one in tokenised)
    tokens = sum(one.codes.numel() for one in tokenised)
    if not math.isfinite(bits):
        raise ScoringError(
            FailureCode.NUMERIC_FAILURE,
            "the model's probabilities of recorded speech are not finite",
            "Publish a checkpoint from before training diverged.",
        )
    return bits / tokens


def forced_columns(codes: Tensor, *, start: int, end: int) -> Tensor:
    """The grid (codebooks, frames + codebooks) that a model would have generated for ``codes``.

    Codebook k holds the start token up to column k, then its codes, then the end token.
    """
    codebooks, frames = codes.shape
    grid = codes.new_full((codebooks, frames + codebooks), end)
    for k in range(codebooks):
        grid[k, : k + 1] = start
        grid[k, k + 1 : k + 1 + frames] = codes[k]
    return grid


def _bits_of(model: LoadedModel, one: Tokenised) -> float:
    """Sum of -log2 p over the tokens of one recording, column by column."""
    decoder, settings = model.decoder, model.settings
    device = decoder.like.device
    try:
        prompt_ids = torch.tensor([model.tokenizer.encode(one.text)], device=device)
        description = torch.tensor([model.tokenizer.encode(DESCRIPTION)], device=device)
    except TextError as error:
        raise _bad(f"the text {one.text[:80]!r} cannot be tokenised: {error}") from error
    grid = forced_columns(
        one.codes.to(device), start=settings.bos_token_id, end=settings.eos_token_id
    )
    columns = grid.shape[1]
    if columns > columns_available(model.config, prompt_ids.shape[1]):
        raise _bad(f"the text {one.text[:80]!r} leaves no room for {MAX_SECONDS:g} s of audio")

    hidden = model.text_encoder(input_ids=description).last_hidden_state
    states = decoder.memory_states(decoder.described(hidden), prompt_ids)
    memory = Memory.allocate(model.config.decoder, 1, 1, states.shape[1], decoder.like)
    decoder.remember(states, memory, 0)
    inputs = decoder.prefix(prompt_ids, grid[None, :, :1])
    length = inputs.shape[1]
    cache = KeyValueCache.allocate(
        model.config.decoder,
        model.config.decoder.num_key_value_heads,
        1,
        length + columns,
        decoder.like,
    )
    positions = torch.arange(length, device=device)[None]
    counted = _counted(one.codes.shape[0], one.codes.shape[1], device)
    bits = torch.zeros((), dtype=torch.float64, device=device)
    for column in range(1, columns):
        logits = decoder(inputs, positions, cache.first(int(positions[0, -1]) + 1), memory)[0]
        nats = F.cross_entropy(logits.double(), grid[:, column], reduction="none")
        bits += (nats * counted[:, column]).sum() / math.log(2.0)
        inputs = decoder.embed(grid[None, None, :, column])
        positions = positions[:, -1:] + 1
    return float(bits)


def _counted(codebooks: int, frames: int, device: torch.device) -> Tensor:
    """Which cells of the grid are tokens of the recording."""
    column = torch.arange(frames + codebooks, device=device)
    codebook = torch.arange(codebooks, device=device)[:, None]
    return (column > codebook) & (column <= codebook + frames)


def _bits(model: ParlerModel, tokenised: Sequence[Tokenised], device: torch.device) -> float:
    place = Place.on(str(device), precision="float32")
    loaded = load_model(model.model_dir, place=place, base_dir=model.base_dir)
    return bits_per_token(loaded, tokenised)


@torch.inference_mode()
def _tokenise(
    said: Sequence[tuple[str, Audio]], codec_dir: Path, device: torch.device
) -> list[Tokenised]:
    """The recordings as the codec in ``codec_dir`` hears them."""
    config = load_config(codec_dir).codec
    codec = blank_model(config)
    weights = read_weights(
        codec_dir,
        expected=Codec(config).expected,
        skip=lambda name: not name.startswith(CODEC),
        keep=lambda _: True,
        device=device,
    )
    fill_model(codec, config, weights.tensors)
    found = []
    for text, audio in said:
        samples = resample(audio, config.sampling_rate).samples
        whole = np.pad(samples, (0, -len(samples) % config.hop_length))
        heard = torch.from_numpy(whole)[None, None].to(device)
        found.append(Tokenised(text, codec.encode(heard).audio_codes[0].cpu()))
    return found


def _beginning(audio: Audio) -> Audio:
    cut = Audio(audio.samples[: int(MAX_SECONDS * audio.sample_rate)], audio.sample_rate)
    check(cut)
    return cut


def _digest(tokenised: Sequence[Tokenised]) -> str:
    digest = hashlib.sha256()
    for one in tokenised:
        codes = one.codes.numpy().astype("<i4").tobytes()
        digest.update(f"{one.text}\0{len(codes)}\0".encode() + codes)
    return digest.hexdigest()


def _bad(message: str) -> ScoringError:
    return ScoringError(
        FailureCode.BAD_REQUEST,
        message,
        f'List recordings in {MANIFEST}: one JSON object a line, with "file" and "text".',
    )
