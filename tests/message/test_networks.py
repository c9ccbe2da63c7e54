import ipaddress
import random
from typing import Literal

import pytest
from hypothesis import given, strategies as st

from proxy.message import networks as module
from proxy.message.networks import Network, NetworkSet, client_key, plain_address

Some = list[Network | Literal["all"]]
NETWORKS = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1")]
SOME = NetworkSet(NETWORKS)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("::FFFF:1.2.3.4", "1.2.3.4"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("01.2.3.4", ""),
        ("unix:", ""),
        ("", ""),
    ],
)
def test_plain_address(text: str, plain: str) -> None:
    assert plain_address(text) == plain


def test_what_is_too_long_for_an_address_is_not_kept() -> None:
    module._plain.cache_clear()
    assert plain_address("1.2.3.4" + "%x" * 40) == ""
    assert plain_address("x" * 65) == ""
    assert module._plain.cache_info().currsize == 0
    assert plain_address("2001:0db8:0000:0000:0000:ffff:255.255.255.255%interface-of-15") != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1%eth1"),
    ],
)
def test_one_client(one: str, other: str) -> None:
    assert client_key(one) == client_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("", "unix:"),
        ("?", "\udcff"),
    ],
)
def test_two_clients(one: str, other: str) -> None:
    assert client_key(one) != client_key(other)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("2001:db8:1::5", True),
        ("2001:db8:2::5", False),
        ("::10.1.2.3", False),
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_what_is_in_a_set(address: str, *, expected: bool) -> None:
    assert SOME.contains(address) is expected
    assert SOME.contains(address) is expected


@given(st.ip_addresses())
def test_contains_agrees_with_ipaddress(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    plain = ipaddress.ip_address(plain_address(str(address)))
    expected = any(plain in network for network in NETWORKS)
    assert SOME.contains(str(address)) is expected


def test_nothing_is_in_an_empty_set() -> None:
    assert not NetworkSet([]).contains("192.0.2.1")
    assert not NetworkSet([]).contains("")


def networks(text: str) -> Some:
    return ["all" if word == "all" else ipaddress.ip_network(word) for word in text.split()]


def rules(allow: str = "", deny: str = "") -> NetworkSet:
    return NetworkSet(networks(allow), networks(deny), rest=not allow)


@pytest.mark.parametrize(
    ("allow", "deny", "let_in", "kept_out"),
    [
        ("10.0.0.0/8", "", "10.1.2.3", "192.0.2.1 2001:db8::1"),
        ("", "10.0.0.0/8", "192.0.2.1 2001:db8::1", "10.1.2.3"),
        ("10.0.0.0/8", "all", "10.1.2.3", "11.0.0.1 ::1"),
        ("all", "10.0.0.0/8", "11.0.0.1 ::1", "10.255.255.255"),
        ("10.0.0.0/8", "10.1.0.0/16", "10.2.0.1", "10.1.0.1 192.0.2.1"),
        ("10.1.2.3", "10.1.2.0/24", "10.1.2.3", "10.1.2.4 10.1.3.1"),
        ("10.0.0.0/8 10.1.1.0/24", "10.1.0.0/16", "10.1.1.9 10.2.0.1", "10.1.2.1 9.0.0.1"),
        ("2001:db8::/32", "2001:db8:1::/48", "2001:db8:2::1", "2001:db8:1::1 192.0.2.1"),
        ("0.0.0.0/0", "", "192.0.2.1", "2001:db8::1"),
        ("::/0", "", "2001:db8::1", "192.0.2.1"),
        # Ties.
        ("10.0.0.0/8", "10.0.0.0/8", "", "10.1.2.3 192.0.2.1"),
        ("all", "all", "", "10.1.2.3 ::1"),
        ("0.0.0.0/0", "all", "", "10.1.2.3 ::1"),
        ("all", "0.0.0.0/0", "::1", "10.1.2.3"),
    ],
)
def test_the_smallest_network_decides(allow: str, deny: str, let_in: str, kept_out: str) -> None:
    found = rules(allow, deny)
    for _ in range(2):  # the second time it is remembered
        assert [one for one in let_in.split() if not found.contains(one)] == []
        assert [one for one in kept_out.split() if found.contains(one)] == []


@pytest.mark.parametrize(
    "address", ["::ffff:10.1.2.3", "::FFFF:a01:203", "0:0:0:0:0:ffff:10.1.2.3"]
)
def test_an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address(address: str) -> None:
    assert rules("10.0.0.0/8").contains(address)
    assert not rules("", "10.0.0.0/8").contains(address)
    assert not rules("::/0").contains(address)
    assert rules("::ffff:10.0.0.0/104").contains("10.1.2.3")
    assert not rules("", "::ffff:10.1.2.3").contains(address)


def test_a_zone_makes_no_other_address() -> None:
    assert not rules("", "fe80::/10").contains("fe80::1%eth0")


@pytest.mark.parametrize("address", ["", "unix:", "/run/x.sock", "10.1.2", "010.1.2.3"])
def test_what_is_no_address_gets_in_by_all_alone(address: str) -> None:
    assert rules("all").contains(address)
    assert rules("all", "10.0.0.0/8").contains(address)
    assert not rules("", "10.0.0.0/8").contains(address)
    assert not rules("10.0.0.0/8").contains(address)
    assert not rules("0.0.0.0/0 ::/0").contains(address)
    assert not rules("10.0.0.0/8", "all").contains(address)
    assert not rules("all", "all").contains(address)


def expected(allow: Some, deny: Some, address: str) -> bool:
    """The rule as it is written down, one network after the other."""
    found = ipaddress.ip_address(address)
    sizes = {True: -1, False: -1}
    for said, some in ((True, allow), (False, deny)):
        for network in some:
            if network == "all":
                sizes[said] = max(sizes[said], 0)
            elif network.version == found.version and found in network:
                sizes[said] = max(sizes[said], network.prefixlen)
    if sizes[True] == sizes[False] == -1:
        return not allow
    return sizes[True] > sizes[False]


def test_it_agrees_with_the_rule_whatever_the_networks() -> None:
    chance = random.Random(3)

    def some() -> Some:
        made: Some = []
        for _ in range(chance.randrange(5)):
            if chance.random() < 0.1:
                made.append("all")
            elif chance.random() < 0.5:
                low = f"10.0.0.{chance.randrange(256)}/{chance.randrange(24, 33)}"
                made.append(ipaddress.ip_network(low, strict=False))
            else:
                low = f"2001:db8::{chance.randrange(65536):x}/{chance.randrange(112, 129)}"
                made.append(ipaddress.ip_network(low, strict=False))
        return made

    for _ in range(300):
        allow, deny = some(), some()
        found = NetworkSet(allow, deny, rest=not allow)
        for _ in range(20):
            last = chance.randrange(256)
            address = chance.choice([f"10.0.0.{last}", f"2001:db8::{chance.randrange(65536):x}"])
            assert found.contains(address) is expected(allow, deny, address), (allow, deny, address)


def test_what_is_remembered_is_bounded() -> None:
    found = rules("10.0.0.0/16")
    for number in range(3 * module._MOST_REMEMBERED):
        assert found.contains(f"10.0.{number >> 8 & 255}.{number & 255}")
    assert len(found._known) <= module._MOST_REMEMBERED
