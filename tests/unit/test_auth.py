"""Who may call: the admin key, and reporters by their headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from voice_validation_api.api_errors import ApiError
from voice_validation_api.api_settings import ApiSettings
from voice_validation_api.auth import MAX_UID, check_admin_key, parse_uid, reporter_of


@given(st.text(min_size=1))
def test_the_configured_key_opens(key: str) -> None:
    check_admin_key([SecretStr(key)], key)


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_other_key_is_refused(key: str, other: str) -> None:
    if key == other:
        return
    with pytest.raises(ApiError) as caught:
        check_admin_key([SecretStr(key)], other)
    assert (caught.value.status, caught.value.code) == (403, "ADMIN_KEY_WRONG")


def test_while_a_key_is_changed_the_one_before_it_opens_too() -> None:
    settings = ApiSettings(_env_file=None, admin_key="newer key", admin_key_previous="older key")
    for key in ("newer key", "older key"):
        check_admin_key(settings.admin_keys, key)
    with pytest.raises(ApiError):
        check_admin_key(settings.admin_keys, "oldest key")
    alone = ApiSettings(_env_file=None, admin_key=None, admin_key_previous="older key")
    assert alone.admin_keys == ()


@pytest.mark.parametrize("given_key", [None, "", "admin", "admin_key"])
def test_without_a_configured_key_nobody_gets_in_and_the_setting_is_named(
    given_key: str | None,
) -> None:
    with pytest.raises(ApiError, match="no admin key") as caught:
        check_admin_key([], given_key)
    assert caught.value.status == 403
    assert "ADMIN_KEY" in caught.value.remedy


def test_a_missing_key_is_told_which_header_to_send() -> None:
    with pytest.raises(ApiError) as caught:
        check_admin_key([SecretStr("key")], None)
    assert caught.value.status == 401
    assert "admin-key" in caught.value.remedy


def test_nothing_of_the_key_shows_in_a_refusal() -> None:
    with pytest.raises(ApiError) as caught:
        check_admin_key([SecretStr("topsecret")], "topsecre")
    assert "topsecre" not in caught.value.message + caught.value.remedy


@pytest.mark.parametrize(
    ("text", "uid"),
    [("0", 0), ("255", 255), (str(MAX_UID), MAX_UID), (str(MAX_UID + 1), None)]
    + [(text, None) for text in ("", "-1", "1.0", "x", "٣", "None", "9" * 64)],
)
def test_a_uid_is_a_number_or_unknown(text: str, uid: int | None) -> None:
    assert parse_uid(text) == uid


def test_what_a_reporter_does_not_know_is_unknown() -> None:
    reporter = reporter_of(git_commit="None", uid="None", hotkey="", coldkey=None)
    assert (reporter.git_commit, reporter.uid, reporter.hotkey) == (None, None, None)
    assert not reporter.signed
