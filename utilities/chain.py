"""The chain as neurons see it: who is registered, what they committed, and setting weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import bittensor as bt

from utilities.chain_errors import (
    ChainUnreachableError,
    CommitmentTooLongError,
    SubnetMissingError,
    from_chain,
    translated,
)

MAX_RAW_BYTES: Final = 128
MAX_COMMITMENT_BYTES: Final = 512
MAX_SEALED_BYTES: Final = 780
"""Plaintext bytes that still fit a sealed field."""

RAO_PER_COIN: Final = 1_000_000_000

CommitmentStatus: TypeAlias = Literal["plain", "sealed", "revealed", "failed"]


@dataclass(frozen=True)
class Neuron:
    """One registered hotkey. ``stake`` is in the subnet's own currency."""

    uid: int
    hotkey: str
    coldkey: str
    stake: float
    validator_permit: bool
    last_update: int
    registered_at: int


@dataclass(frozen=True)
class SubnetRules:
    """What a subnet asks of its validators; the first three in blocks.

    ``tempo`` is the length of an epoch. After ``activity_cutoff`` without new weights a validator
    counts no more; within ``weights_rate_limit`` of its last it can set none.
    """

    tempo: int
    activity_cutoff: int
    weights_rate_limit: int
    weights_version: int


@dataclass(frozen=True)
class Metagraph:
    """A subnet's neurons, by uid, after ``block``.

    What miners earn on ``owner_hotkey`` is burned by the chain.
    """

    netuid: int
    block: int
    neurons: tuple[Neuron, ...]
    rules: SubnetRules
    owner_hotkey: str

    def neuron_of(self, hotkey: str) -> Neuron | None:
        """The neuron registered under a hotkey."""
        return next((neuron for neuron in self.neurons if neuron.hotkey == hotkey), None)


@dataclass(frozen=True)
class Reveal:
    """A text that was sealed, and the block in which the chain opened it."""

    block: int
    text: str


@dataclass(frozen=True)
class Commitment:
    """What a hotkey has published. ``text`` is what can be read of it: None while it is sealed.

    ``block`` is that of the commitment, for a revealed one that of the reveal: the chain forgets
    the other. ``uid`` is None when the hotkey is no longer registered. ``sealed_digest`` is the
    sha256 of what is still sealed, in hex; ``reveals`` are the newest that the chain keeps, oldest
    first, whatever the hotkey committed since.
    """

    hotkey: str
    uid: int | None
    block: int
    status: CommitmentStatus
    text: str | None
    reveal_round: int | None
    sealed_digest: str | None = None
    reveals: tuple[Reveal, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """Where a call was included. ``reveal_round`` is set for what was sealed."""

    block: int
    block_hash: str
    reveal_round: int | None = None


class Chain:
    """One endpoint. Connects when first needed, and anew after it could not be reached.

    Every method raises the errors of ``utilities.chain_errors``.
    """

    def __init__(self, endpoint: str) -> None:
        """``endpoint`` is a ``ws://`` address or the name of a network, such as ``test``."""
        self._endpoint = endpoint
        self._client: Any = None

    def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def block(self) -> int:
        """The height of the chain."""
        with self._connected() as client:
            return int(client.block)

    def finalized_block(self) -> int:
        """The height up to which the chain cannot change any more."""
        with self._connected() as client:
            return int(client.finalized_block)

    def block_hash(self, block: int) -> str | None:
        """The hash of a block; None where the chain or the node has no such block."""
        with self._connected() as client:
            info = client.block_info(block)
        return None if info is None else str(info.hash)

    def metagraph(self, netuid: int, *, block: int | None = None) -> Metagraph:
        """The neurons of a subnet, now or after a past block."""
        with self._connected() as client:
            graph = client.subnets.metagraph(netuid, block=block, commitments=False)
        if graph is None:
            raise SubnetMissingError(
                f"there is no subnet {netuid} at {self._endpoint}",
                "Check the netuid and the network.",
            )
        neurons = tuple(
            Neuron(
                uid=neuron.uid,
                hotkey=neuron.hotkey,
                coldkey=neuron.coldkey,
                stake=neuron.total_stake.rao / RAO_PER_COIN,
                validator_permit=neuron.validator_permit,
                last_update=neuron.last_update,
                registered_at=neuron.block_at_registration,
            )
            for neuron in graph.neurons
        )
        rules = SubnetRules(
            tempo=graph.tempo,
            activity_cutoff=int(graph.raw["activity_cutoff"]),
            weights_rate_limit=int(graph.raw["weights_rate_limit"]),
            weights_version=int(graph.raw["weights_version"]),
        )
        return Metagraph(netuid, graph.block, neurons, rules, str(graph.owner_hotkey))

    def commitments(self, netuid: int, *, block: int | None = None) -> tuple[Commitment, ...]:
        """Everything committed on a subnet, oldest first, now or after a past block.

        Raises HistoryPrunedError, among the others, where the node has forgotten that block.
        """
        with self._connected() as client:
            found = client.subnets.commitments(netuid, block=block)
        commitments = [
            Commitment(
                hotkey=entry.hotkey,
                uid=entry.uid,
                block=entry.block,
                status=entry.status,
                text=_text_of(entry),
                reveal_round=entry.reveal_round,
                sealed_digest=_sealed_digest(entry.fields),
                reveals=tuple(Reveal(block, text) for block, text in entry.revealed),
            )
            for entry in found.values()
        ]
        return tuple(sorted(commitments, key=lambda entry: (entry.block, entry.hotkey)))

    def commit(self, netuid: int, text: str, wallet: bt.Wallet) -> Receipt:
        """Publish a text, in place of what the wallet's hotkey published before."""
        data = text.encode()
        _check_size(data, MAX_COMMITMENT_BYTES)
        variant = f"Raw{len(data)}" if len(data) <= MAX_RAW_BYTES else "BigRaw"
        return self._commit(netuid, {variant: "0x" + data.hex()}, wallet)

    def commit_sealed(
        self, netuid: int, text: str, wallet: bt.Wallet, *, reveal_in: str
    ) -> Receipt:
        """Publish a text that nobody can read until ``reveal_in`` (such as ``1h``) has passed."""
        data = text.encode()
        _check_size(data, MAX_SEALED_BYTES)
        with translated(self._endpoint):
            sealed = bt.timelock.encrypt(data, reveal_in=reveal_in)
        content = {"encrypted": "0x" + sealed.encrypted.hex(), "reveal_round": sealed.reveal_round}
        receipt = self._commit(netuid, {"TimelockEncrypted": content}, wallet)
        return Receipt(receipt.block, receipt.block_hash, sealed.reveal_round)

    def set_weights(
        self,
        netuid: int,
        weights: Mapping[int, float],
        wallet: bt.Wallet,
        *,
        mechid: int = 0,
        version_key: int = 0,
    ) -> Receipt:
        """Set weights by uid, in the clear or sealed as the subnet asks."""
        intent = {"netuid": netuid, "mechid": mechid, "version_key": version_key}
        with self._connected() as client:
            set_weights = bt.SetWeights(weights=dict(weights), **intent)
            return self._receipt(client.execute(set_weights, wallet))

    def _commit(self, netuid: int, field: Mapping[str, object], wallet: bt.Wallet) -> Receipt:
        call = bt.calls.Commitments.set_commitment(netuid=netuid, info={"fields": [dict(field)]})
        with self._connected() as client:
            return self._receipt(client.submit_call(call, wallet, signer="hotkey"))

    def _receipt(self, result: Any) -> Receipt:
        """Raises for a result that is a failure: the SDK returns some and raises others."""
        if not result.success:
            error = result.error or bt.ChainError(result.message)
            raise from_chain(error, self._endpoint)
        block = int(str(result.extrinsic_id).split("-")[0])
        return Receipt(block, str(result.block_hash), result.data.get("reveal_round"))

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            with translated(self._endpoint):
                if self._client is None:
                    self._client = bt.Subtensor(self._endpoint)
                yield self._client
        except ChainUnreachableError:
            self.close()
            raise


def _check_size(data: bytes, limit: int) -> None:
    if len(data) > limit:
        raise CommitmentTooLongError(
            f"the commitment has {len(data)} bytes, more than {limit}", "Shorten it."
        )


def _sealed_digest(fields: Sequence[Any]) -> str | None:
    sealed = [
        bytes.fromhex(str(field["TimelockEncrypted"]["encrypted"]).removeprefix("0x"))
        for field in fields
        if isinstance(field, dict) and "TimelockEncrypted" in field
    ]
    return hashlib.sha256(b"".join(sealed)).hexdigest() if sealed else None


def _text_of(entry: Any) -> str | None:
    """The revealed text, or that of the fields in the clear."""
    if entry.status == "revealed":
        return str(entry.value)
    parts = [
        _readable(str(value))
        for field in entry.fields
        if isinstance(field, dict)
        for variant, value in field.items()
        if variant.startswith(("Raw", "BigRaw"))
    ]
    return "".join(parts) if parts else None


def _readable(value: str) -> str:
    """The SDK shows bytes as text or as hexadecimal digits; what is no text stays digits."""
    if not value.startswith("0x"):
        return value
    try:
        return bytes.fromhex(value[2:]).decode()
    except ValueError:
        return value
