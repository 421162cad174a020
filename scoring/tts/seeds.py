"""Random seeds of an evaluation, derived so that no prompt's depends on its neighbours."""

from __future__ import annotations

import hashlib

from scoring.contract import Prompt


def prompt_seed(seed: int, prompt: Prompt) -> int:
    """A seed in [0, 2**63) for one prompt of an evaluation seeded with ``seed``."""
    digest = hashlib.sha256(f"{seed}:{prompt.index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
