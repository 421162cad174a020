"""A miner's dealings with the chain: its standing, publishing a commitment, reading it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import bittensor as bt

from utilities.chain import Chain, Commitment, Receipt
from utilities.chain_errors import ChainError, ChainUnreachableError, NotRegisteredError


class ReadBackError(ChainError):
    """The chain shows another commitment than was published."""

    code: ClassVar[str] = "COMMITMENT_DIFFERS"


@dataclass(frozen=True)
class Standing:
    """A hotkey's place on the subnet, and what it has published there."""

    block: int
    uid: int
    commitment: Commitment | None


def standing(chain: Chain, netuid: int, hotkey: str) -> Standing:
    """The place of ``hotkey``. Raises NotRegisteredError and the chain's other errors."""
    graph = chain.metagraph(netuid)
    uid = next((neuron.uid for neuron in graph.neurons if neuron.hotkey == hotkey), None)
    if uid is None:
        raise NotRegisteredError(
            f"the hotkey {hotkey} is not registered on subnet {netuid}",
            f"Register it first: `btcli subnets register --netuid {netuid}`, with the same wallet "
            "and network.",
        )
    return Standing(graph.block, uid, _commitment_of(chain, netuid, hotkey))


def publish(
    chain: Chain, netuid: int, text: str, wallet: bt.Wallet, *, sealed: str | None
) -> Receipt:
    """Commit ``text``, sealed for that time if told so, and compare what the chain shows of it.

    Raises ReadBackError and the chain's errors. What an error leaves unknown the next run finds
    out: it does not commit the same again.
    """
    if sealed is None:
        receipt = chain.commit(netuid, text, wallet)
    else:
        receipt = chain.commit_sealed(netuid, text, wallet, reveal_in=sealed)
    try:
        shown = _commitment_of(chain, netuid, str(wallet.hotkey.ss58_address))
    except ChainUnreachableError as error:
        raise ChainUnreachableError(
            f"committed in block {receipt.block}, but not read back: {error.message}",
            "Run the same command again to compare; it does not commit twice.",
        ) from error
    if shown is None or not _agrees(shown, receipt, text):
        raise ReadBackError(
            f"committed in block {receipt.block}, but the chain shows {_shown(shown)}",
            "Check that no other program commits with this hotkey, then run the command again.",
        )
    return receipt


def _agrees(shown: Commitment, receipt: Receipt, text: str) -> bool:
    if receipt.reveal_round is None:
        return shown.status == "plain" and (shown.block, shown.text) == (receipt.block, text)
    # A seal that is due already may have been opened before it was read.
    if shown.status == "revealed":
        return shown.text == text
    return shown.status == "sealed" and (shown.block, shown.reveal_round) == (
        receipt.block,
        receipt.reveal_round,
    )


def _shown(commitment: Commitment | None) -> str:
    if commitment is None:
        return "nothing"
    return f"a {commitment.status} one of block {commitment.block}: {commitment.text!r:.200}"


def _commitment_of(chain: Chain, netuid: int, hotkey: str) -> Commitment | None:
    found = chain.commitments(netuid)
    return next((commitment for commitment in found if commitment.hotkey == hotkey), None)
