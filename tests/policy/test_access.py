import ipaddress
import random
from typing import Literal

import pytest

from proxy.errors import Fault, ProxyError
from proxy.message.forwarding import Network
from proxy.policy import access as module
from proxy.policy.access import AddressRules, Networks, access
from tests.fakes.exchanges import looked_at
from tests.policy.asking import gate_of


def networks(text: str) -> list[Network | Literal["all"]]:
    return ["all" if word == "all" else ipaddress.ip_network(word) for word in text.split()]


def rules(allow: str = "", deny: str = "") -> AddressRules:
    return AddressRules(networks(allow), networks(deny))


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
        assert [one for one in let_in.split() if not found.admits(one)] == []
        assert [one for one in kept_out.split() if found.admits(one)] == []


@pytest.mark.parametrize(
    "address", ["::ffff:10.1.2.3", "::FFFF:a01:203", "0:0:0:0:0:ffff:10.1.2.3"]
)
def test_an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address(address: str) -> None:
    assert rules("10.0.0.0/8").admits(address)
    assert not rules("", "10.0.0.0/8").admits(address)
    assert not rules("::/0").admits(address)
    assert rules("::ffff:10.0.0.0/104").admits("10.1.2.3")
    assert not rules("", "::ffff:10.1.2.3").admits(address)


def test_a_zone_makes_no_other_address() -> None:
    assert not rules("", "fe80::/10").admits("fe80::1%eth0")


@pytest.mark.parametrize("address", ["", "unix:", "/run/x.sock", "10.1.2", "010.1.2.3"])
def test_what_is_no_address_gets_in_by_all_alone(address: str) -> None:
    assert rules("all").admits(address)
    assert rules("all", "10.0.0.0/8").admits(address)
    assert not rules("", "10.0.0.0/8").admits(address)
    assert not rules("10.0.0.0/8").admits(address)
    assert not rules("0.0.0.0/0 ::/0").admits(address)
    assert not rules("10.0.0.0/8", "all").admits(address)
    assert not rules("all", "all").admits(address)


def expected(allow: Networks, deny: Networks, address: str) -> bool:
    """The rule as it is written down, one network after the other."""
    found = ipaddress.ip_address(address)
    sizes = {True: -1, False: -1}
    for said, given in ((True, allow), (False, deny)):
        for network in given:
            if network == "all":
                sizes[said] = max(sizes[said], 0)
            elif network.version == found.version and found in network:
                sizes[said] = max(sizes[said], network.prefixlen)
    if sizes[True] == sizes[False] == -1:
        return not allow
    return sizes[True] > sizes[False]


def test_it_agrees_with_the_rule_whatever_the_networks() -> None:
    chance = random.Random(3)

    def some() -> list[Network | Literal["all"]]:
        made: list[Network | Literal["all"]] = []
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
        found = AddressRules(allow, deny)
        for _ in range(20):
            last = chance.randrange(256)
            address = chance.choice([f"10.0.0.{last}", f"2001:db8::{chance.randrange(65536):x}"])
            assert found.admits(address) is expected(allow, deny, address), (allow, deny, address)


def test_what_is_remembered_is_bounded() -> None:
    found = rules("10.0.0.0/16")
    for number in range(3 * module._MOST_REMEMBERED):
        assert found.admits(f"10.0.{number >> 8 & 255}.{number & 255}")
    assert len(found._known) <= module._MOST_REMEMBERED


def test_the_answer_tells_nothing_of_the_rules() -> None:
    gate = gate_of(access(rules("10.0.0.0/8")))
    assert gate(looked_at("10.1.2.3")) is None
    with pytest.raises(ProxyError) as raised:
        gate(looked_at("192.0.2.1"))
    error = raised.value
    assert (error.status, error.fault, error.public, error.fields) == (403, Fault.CLIENT, "", b"")
    assert "192.0.2.1" in error.detail


def test_the_address_is_the_one_that_is_believed() -> None:
    gate = gate_of(access(rules("10.0.0.0/8")))
    exchange = looked_at("10.1.2.3")
    exchange.address = "192.0.2.1"
    with pytest.raises(ProxyError):
        gate(exchange)
    exchange = looked_at("192.0.2.1")
    exchange.address = "10.1.2.3"
    assert gate(exchange) is None
