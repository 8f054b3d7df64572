"""Strangers are told apart by what one of them has: an address, or a /64."""

import pytest

from services.access import name_stranger


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002:0000:0000:0000:0009"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("192.0.2.1", "::ffff:c000:201"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_one_subscriber_has_one_name(one: str, other: str) -> None:
    """A new address for each question is no new visitor."""
    assert name_stranger(one) == name_stranger(other)


def test_two_subscribers_have_two() -> None:
    """The next network, the next address; without one all are the same."""
    addresses = ["2001:db8:1:2::1", "2001:db8:1:3::1", "192.0.2.1", "192.0.2.2", "a socket", ""]
    assert len({name_stranger(address) for address in addresses}) == len(addresses)
