"""Signed requests, with the SDK's own keys and its own store of nonces."""

from __future__ import annotations

import time
from typing import Any

import bittensor as bt
import pytest
from bittensor_core import Keypair, encode_ss58
from hypothesis import given
from hypothesis import strategies as st

from utilities.chain_auth import (
    SIGNATURE_HEADERS,
    SignatureForAnotherError,
    SignatureMalformedError,
    SignatureRefusedError,
    SignatureReplayedError,
    SignatureStaleError,
    SignatureWrongError,
    is_signed,
    sign_request,
    verify_request,
)

ALICE, SERVICE, OTHER = (Keypair.create_from_uri(name) for name in ("//Alice", "//Bob", "//Dave"))
BODY = b'{"healthy": true}'
SENT = {"method": "POST", "target": "/telemetry_report?a=1", "body": BODY}


def signed(**changes: Any) -> dict[str, str]:
    return sign_request(ALICE, **{**SENT, "receiver": SERVICE.ss58_address, **changes})


def verify(headers: dict[str, str], **changes: Any) -> str:
    fields = {**SENT, "receiver": SERVICE.ss58_address, **changes}
    fields.setdefault("nonces", bt.http_auth.InMemoryNonceStore())
    return verify_request(headers, fields.pop("body"), **fields)


def test_a_signed_request_names_its_signer() -> None:
    assert verify(signed()) == ALICE.ss58_address


@pytest.mark.parametrize(
    "changes",
    [
        {"body": BODY + b" "},
        {"target": "/event_report?a=1"},
        {"target": "/telemetry_report?a=2"},
        {"method": "PUT"},
    ],
)
def test_a_signature_holds_for_what_was_sent_alone(changes: dict[str, Any]) -> None:
    with pytest.raises(SignatureWrongError):
        verify(signed(), **changes)


def test_nobody_signs_in_anothers_name() -> None:
    with pytest.raises(SignatureWrongError):
        verify({**signed(), "X-Bittensor-Hotkey": OTHER.ss58_address})


def test_a_signature_for_another_service_is_refused() -> None:
    with pytest.raises(SignatureForAnotherError) as caught:
        verify(signed(receiver=OTHER.ss58_address))
    assert SERVICE.ss58_address in caught.value.remedy


@pytest.mark.parametrize("seconds", [11, 3_600, -3, -3_600])
def test_a_signature_is_good_for_ten_seconds_after_it_was_made(seconds: int) -> None:
    with pytest.raises(SignatureStaleError):
        verify(signed(), now_ns=time.time_ns() + seconds * 10**9)


def test_a_signature_is_accepted_once() -> None:
    nonces, headers = bt.http_auth.InMemoryNonceStore(), signed()
    verify(headers, nonces=nonces)
    with pytest.raises(SignatureReplayedError):
        verify(headers, nonces=nonces)
    assert verify(signed(), nonces=nonces) == ALICE.ss58_address


def test_a_refused_signature_uses_no_nonce_up() -> None:
    nonces, headers = bt.http_auth.InMemoryNonceStore(), signed()
    with pytest.raises(SignatureWrongError):
        verify(headers, body=b"", nonces=nonces)
    assert verify(headers, nonces=nonces) == ALICE.ss58_address


@pytest.mark.parametrize("missing", ["Version", "Hotkey", "Nonce", "Signature"])
def test_a_missing_header_is_named(missing: str) -> None:
    headers = signed()
    del headers[f"X-Bittensor-{missing}"]
    assert is_signed(headers)
    with pytest.raises(SignatureMalformedError, match=missing):
        verify(headers)


class Stranger:
    """Alice's key under its address on another chain."""

    crypto_type = ALICE.crypto_type
    public_key = ALICE.public_key
    ss58_address = encode_ss58(ALICE.public_key, 0)

    def sign(self, payload: bytes) -> bytes:
        return bytes(ALICE.sign(payload))


def test_an_address_of_another_chain_is_refused() -> None:
    headers = bt.http_auth.sign(
        Stranger(), method="POST", path="/", body=b"", receiver_ss58=SERVICE.ss58_address
    )
    with pytest.raises(SignatureMalformedError, match="address"):
        verify(headers, target="/", body=b"")


@given(
    st.dictionaries(
        st.sampled_from(sorted(SIGNATURE_HEADERS)),
        st.one_of(st.text(st.characters(max_codepoint=255)), st.integers().map(str)),
    )
)
def test_whatever_the_headers_say_a_refusal_is_typed(changes: dict[str, str]) -> None:
    headers = {name.lower(): value for name, value in signed().items()}
    if all(headers.get(name) == value for name, value in changes.items()):
        return
    try:
        assert verify({**headers, **changes}) == ALICE.ss58_address
    except SignatureRefusedError as error:
        assert error.message
        assert error.remedy


@given(st.integers(10**4_000, 10**4_001))
def test_an_endless_nonce_is_refused(nonce: int) -> None:
    with pytest.raises(SignatureRefusedError):
        verify({**signed(), "X-Bittensor-Nonce": str(nonce) + "0" * 1_000})


def test_a_request_without_the_headers_is_not_signed() -> None:
    assert not is_signed({"Hotkey": ALICE.ss58_address, "Bittensor-Version": "11"})
    assert is_signed({"x-bittensor-signature": ""})
