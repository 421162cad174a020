"""Requests that a hotkey has signed, from neurons to the service: Bittensor's ``btauth/1``.

A signature covers method, target, body, time, signer and receiver. It proves who holds a hotkey,
not that the hotkey is registered anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar, Final, Protocol

from utilities.errors import SubnetError
from utilities.ss58 import is_ss58

SIGNATURE_HEADERS: Final = frozenset(
    f"x-bittensor-{name}"
    for name in ("version", "hotkey", "receiver", "nonce", "crypto", "signature")
)


class SignatureRefusedError(SubnetError):
    """A signed request is not accepted. Its subclasses say why."""

    code: ClassVar[str] = "SIGNATURE_REFUSED"


class SignatureMalformedError(SignatureRefusedError):
    """A header of the signature is missing or cannot be read."""

    code: ClassVar[str] = "SIGNATURE_MALFORMED"


class SignatureForAnotherError(SignatureRefusedError):
    """It was signed for another receiver, or for none."""

    code: ClassVar[str] = "SIGNATURE_FOR_ANOTHER"


class SignatureStaleError(SignatureRefusedError):
    """It is too old, or from the future."""

    code: ClassVar[str] = "SIGNATURE_STALE"


class SignatureReplayedError(SignatureRefusedError):
    """It was accepted before."""

    code: ClassVar[str] = "SIGNATURE_REPLAYED"


class SignatureWrongError(SignatureRefusedError):
    """It does not belong to this request and this hotkey."""

    code: ClassVar[str] = "SIGNATURE_WRONG"


class NonceStore(Protocol):
    """Remembers which requests were accepted."""

    retention: float
    """Seconds that an entry is kept at least; more than a signature stays fresh."""

    def check_and_store(self, hotkey_ss58: str, nonce_ns: int) -> bool:
        """Whether the pair is new; it is remembered from now on."""


def sign_request(
    wallet: Any, *, method: str, target: str, body: bytes, receiver: str
) -> dict[str, str]:
    """The headers that prove a request to be of ``wallet``'s hotkey, for ``receiver`` alone.

    ``target`` is the path with its query, exactly as it is sent; so is ``body``. Every request,
    a repeated one too, is signed anew.
    """
    headers: dict[str, str] = _http_auth().sign(
        wallet, method=method, path=target, body=body, receiver_ss58=receiver
    )
    return headers


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether a request claims to be signed: by any header of a signature, even a lone one."""
    return any(name.lower() in SIGNATURE_HEADERS for name in headers)


def verify_request(
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str,
    target: str,
    receiver: str,
    nonces: NonceStore,
    now_ns: int | None = None,
) -> str:
    """The hotkey that signed a request for ``receiver`` within the last ten seconds.

    ``now_ns`` is the time in nanoseconds since 1970; by default this machine's. Raises
    SignatureRefusedError, and whatever ``nonces`` raises.
    """
    auth = _http_auth()
    try:
        caller = auth.verify(
            headers,
            body,
            method=method,
            path=target,
            self_hotkey_ss58=receiver,
            nonce_store=nonces,
            now_ns=now_ns,
        )
    except auth.MalformedAuth as error:
        raise SignatureMalformedError(str(error), "Sign as btauth/1 says.") from error
    except auth.WrongReceiver as error:
        raise SignatureForAnotherError(
            str(error), f"Sign for this service's hotkey, {receiver}."
        ) from error
    except auth.StaleRequest as error:
        raise SignatureStaleError(
            str(error), "Sign right before sending, and set the clock by the network."
        ) from error
    except auth.ReplayedRequest as error:
        raise SignatureReplayedError(str(error), "Sign every request anew.") from error
    except auth.AuthError as error:
        raise SignatureWrongError(
            str(error), "Sign the method, the path with its query and the body as they are sent."
        ) from error
    hotkey = str(caller.hotkey_ss58)
    if not is_ss58(hotkey):
        raise SignatureMalformedError(
            "the signer's address is not one of this chain", "Give the ss58 address of the hotkey."
        )
    return hotkey


def _http_auth() -> ModuleType:
    # Importing the SDK takes most of a second, which no program should need to show its help.
    import bittensor as bt  # noqa: PLC0415

    module: ModuleType = bt.http_auth
    return module
