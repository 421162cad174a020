"""Made-up views of a chain for tests of the validator's pure parts."""

from __future__ import annotations

import hashlib

from neurons.chain_past import Commitments, PastCommitments
from utilities.chain import Commitment, CommitmentStatus, Metagraph, Neuron, SubnetRules
from utilities.chain_view import View
from utilities.model_reference import format_reference, make_reference

RULES = SubnetRules(tempo=360, activity_cutoff=5_000, weights_rate_limit=100, weights_version=0)
ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
REVISION = "ab" * 20


def digest_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def text_of(hotkey: str, name: str = "voice", *, long: bool = True) -> str:
    """What a miner commits for ``lab/NAME``."""
    return format_reference(
        make_reference(
            namespace="lab",
            name=name,
            config_template="default",
            hotkey=hotkey,
            competition_id="tts",
            revision=REVISION if long else None,
            weights_digest=digest_of(name) if long else None,
        )
    )


def commitment(
    hotkey: str, block: int, text: str | None, status: CommitmentStatus = "plain"
) -> Commitment:
    return Commitment(hotkey, 0, block, status, text, None)


def view(
    *commitments: Commitment, block: int = 10_000, hotkeys: tuple[str, ...] = (ALICE,)
) -> View:
    neurons = tuple(
        Neuron(uid, hotkey, f"coldkey-{hotkey}", 0.0, False, 0, 0)
        for uid, hotkey in enumerate(hotkeys)
    )
    graph = Metagraph(231, block, neurons, RULES, "owner")
    return View(graph, {entry.hotkey: entry for entry in commitments})


def history(*commitments: Commitment) -> PastCommitments:
    """A chain on which each was made at its block, in place of the hotkey's one before."""

    def past(block: int) -> Commitments | None:
        made = sorted((c for c in commitments if c.block <= block), key=lambda c: c.block)
        return {entry.hotkey: entry for entry in made}

    return past


def forgotten(_block: int) -> None:
    """What a node without an archive knows of the past."""
