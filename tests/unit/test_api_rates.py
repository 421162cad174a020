"""Who a caller is."""

from __future__ import annotations

import pytest

from voice_validation_api.api_rates import address_of


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("x" * 1_000, "what a proxy wrote", True),
    ],
)
def test_a_household_of_ipv6_is_one_caller(one: str, other: str, same: bool) -> None:
    addresses = [address_of({"client": (text, 1)}) for text in (one, other)]
    assert (addresses[0] == addresses[1]) is same


def test_a_caller_without_an_address_is_one_too() -> None:
    assert address_of({"client": None}) == address_of({}) == "unknown"
