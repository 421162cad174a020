"""Secrets in text: found by value and by shape, and nothing else blotted out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from utilities.redaction import HIDDEN, Redactor, secrets_of


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://speech:hunter2@db:5432/speech", "hunter2"),
        ("s3://key:s%2Fcret@minio/audio", "s%2Fcret"),
        ("host=db user=speech password=hunter2 dbname=speech", "hunter2"),
        ("host=db password='hunter 2' dbname=speech", "hunter 2"),
        ('{"password": "hunter2"}', "hunter2"),
        ("admin-key: hunter2", "hunter2"),
        ("ADMIN_KEY=hunter2", "hunter2"),
        ("ADMIN_KEY_PREVIOUS=hunter2", "hunter2"),
        ("POSTGRES_PASSWORD=hunter2", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY=hunter2", "hunter2"),
        ("{'HF_TOKEN': 'hunter2'}", "hunter2"),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("with token hf_abcdefghijklmnop", "abcdefghijklmnop"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, secret: str) -> None:
    told = Redactor()(text)
    assert secret not in told
    assert HIDDEN in told


@pytest.mark.parametrize(
    "text",
    [
        "listening on http://127.0.0.1:7777",
        "claimed alice/voice@abababab",
        "no usable database: connection to server at db, port 5432 failed",
        "password authentication failed for user speech",
        "cap of 12 tokens reached",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert Redactor()(text) == text


@given(st.text(min_size=6), st.text(), st.text())
def test_a_known_secret_never_gets_through(secret: str, before: str, after: str) -> None:
    if secret in HIDDEN:
        return
    told = Redactor([secret])(f"{before}{secret}{after}")
    assert all(secret not in part for part in told.split(HIDDEN))


class Settings(BaseModel):
    name: str = "speech"
    admin_key: SecretStr | None = SecretStr("hunter2")
    hub_token: SecretStr | None = None


def test_the_secrets_of_settings_are_their_secret_fields() -> None:
    assert secrets_of(Settings()) == ("hunter2",)
