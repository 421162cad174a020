"""Text to token ids through a repository's ``tokenizer.json``.

The file is data for the tokenizers library and holds no code. No other tokenizer file is read,
so nothing in a repository can pick a class to load or ask for its own code to run.
"""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer as FastTokenizer

from scoring.contract import FailureCode
from scoring.errors import ScoringError

TOKENIZER_FILE = "tokenizer.json"
MAX_TOKENIZER_BYTES = 64 << 20
# The contract's longest text at two characters a token. Attention grows with the square.
MAX_TOKENS = 1_024


class TextError(Exception):
    """One text cannot be tokenised; the reason is meant for a reader."""


class Tokenizer:
    """Turns text into token ids below ``vocab_size``, special tokens included."""

    def __init__(self, model_dir: Path, vocab_size: int) -> None:
        """Raises ScoringError (TOKENIZER_INVALID) for a missing, huge or broken file, or for one
        with ids that the model has no embedding for."""
        self._tokenizer = _parse(_read(model_dir / TOKENIZER_FILE))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        highest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if not 0 <= highest < vocab_size:
            raise _invalid(
                f"its highest token id is {highest}, the model has embeddings for {vocab_size}"
            )

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, at least one. Raises TextError for none or too many."""
        try:
            ids: list[int] = self._tokenizer.encode(text).ids
        except Exception as error:  # the library raises nothing more specific
            raise TextError(f"the tokenizer failed: {error}") from error
        if not 1 <= len(ids) <= MAX_TOKENS:
            raise TextError(f"the text has {len(ids)} tokens, not 1 to {MAX_TOKENS}")
        return ids


def _read(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        raise _invalid("it is missing or no regular file")
    with path.open("rb") as file:
        raw = file.read(MAX_TOKENIZER_BYTES + 1)
    if len(raw) > MAX_TOKENIZER_BYTES:
        raise _invalid(f"it is larger than {MAX_TOKENIZER_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _invalid(f"it is not UTF-8: {error}") from error


def _parse(text: str) -> FastTokenizer:
    try:
        return FastTokenizer.from_str(text)
    except Exception as error:  # the library raises nothing more specific
        raise _invalid(f"it cannot be parsed: {error}") from error


def _invalid(reason: str) -> ScoringError:
    return ScoringError(
        FailureCode.TOKENIZER_INVALID,
        f"{TOKENIZER_FILE} cannot be used: {reason}",
        "Publish the tokenizer.json of the base model.",
    )
