"""What can go wrong with the chain, and how the SDK's errors become ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import bittensor as bt

from utilities.errors import SubnetError

_TOO_SOON = frozenset({"SpaceLimitExceeded", "TooManyUnrevealedCommits"})
"""Errors that go away with the next epoch, though the SDK does not call them rate limits."""
_PRUNED = "State discarded"
"""How the SDK's message begins; the error's type is private to it."""


class ChainError(SubnetError):
    """The chain does not do, or does not show, what was asked for."""


class ChainUnreachableError(ChainError):
    """The chain does not answer. Whether it did what was asked for is unknown."""

    code: ClassVar[str] = "CHAIN_UNREACHABLE"
    transient: ClassVar[bool] = True


class RateLimitedError(ChainError):
    """It is too early to do this again."""

    code: ClassVar[str] = "CHAIN_RATE_LIMITED"
    transient: ClassVar[bool] = True


class NotRegisteredError(ChainError):
    """The hotkey has no place on the subnet."""

    code: ClassVar[str] = "HOTKEY_NOT_REGISTERED"


class SubnetMissingError(ChainError):
    """There is no such subnet."""

    code: ClassVar[str] = "SUBNET_NOT_FOUND"


class ChainRefusedError(ChainError):
    """The chain, or the SDK before it, refuses the call; the message has its reason."""

    code: ClassVar[str] = "CHAIN_REFUSED"


class HistoryPrunedError(ChainError):
    """The node has forgotten what the chain held at that block."""

    code: ClassVar[str] = "HISTORY_PRUNED"


class CommitmentTooLongError(ChainError):
    """More bytes than a commitment may have."""

    code: ClassVar[str] = "COMMITMENT_TOO_LONG"


@contextmanager
def translated(endpoint: str) -> Iterator[None]:
    """Turn what the SDK raises into the errors of this module."""
    try:
        yield
    except bt.ChainError as error:
        raise from_chain(error, endpoint) from error
    except (bt.RpcConnectionError, bt.ConnectionNotReady) as error:
        raise _unreachable(endpoint, error) from error
    except bt.BittensorError as error:
        raise ChainRefusedError(f"refused before it was sent: {error}", "Correct it.") from error
    except (OSError, asyncio.TimeoutError) as error:
        raise _unreachable(endpoint, error) from error


def from_chain(error: Any, endpoint: str) -> ChainError:
    """Our error for a ``bittensor.ChainError``."""
    message = f"the chain refuses: {error}"
    remedy = str(error.remediation or "See the message.")
    if error.code == bt.ErrorCode.RATE_LIMITED or error.name in _TOO_SOON:
        return RateLimitedError(message, remedy)
    if error.code == bt.ErrorCode.NOT_REGISTERED or error.name == "AccountNotAllowedCommit":
        return NotRegisteredError(message, "Register the hotkey on the subnet.")
    if error.code == bt.ErrorCode.SUBNET_NOT_EXISTS:
        return SubnetMissingError(message, "Check the netuid and the network.")
    if str(error).startswith(_PRUNED):
        return HistoryPrunedError(str(error), "Ask a node that keeps history: --subtensor.network.")
    if error.code == bt.ErrorCode.UNKNOWN and error.name is None:
        # No error of the chain's own: the SDK wraps broken connections so while it submits.
        return _unreachable(endpoint, error)
    return ChainRefusedError(message, remedy)


def _unreachable(endpoint: str, error: Exception) -> ChainUnreachableError:
    return ChainUnreachableError(
        f"the chain at {endpoint} does not answer: {type(error).__name__}: {error}",
        "Try again later. If it lasts, check the endpoint and the network.",
    )
