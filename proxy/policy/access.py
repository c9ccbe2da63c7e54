"""Lets clients in, or keeps them out, by the network they come from.

Of all networks that an address is in, the smallest decides; where one is both let in and kept out,
it is kept out. Whom no network decides about is let in where nothing is allowed by name, and kept
out otherwise. The order in which networks are given means nothing.

The address is the one that trusted proxies vouch for. An IPv4 address inside an IPv6 one is the
IPv4 address (RFC 4291, 2.5.5.2). A client without an address, the peer of a unix socket that
nobody vouches for, might be anybody: `all` alone speaks of it, and without that it is kept out.
"""

import ipaddress
from collections.abc import Sequence
from typing import Literal

from proxy.errors import Fault, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.message.forwarding import Network, plain_address
from proxy.policy.part import Part

NAME = "access"

Networks = Sequence[Network | Literal["all"]]

_MOST_REMEMBERED = 4096
_EVERYWHERE: tuple[Network, ...] = (
    ipaddress.ip_network("0.0.0.0/0"),
    ipaddress.ip_network("::/0"),
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


class AddressRules:
    """Which addresses are let in."""

    __slots__ = ("_known", "_nameless", "_rest", "_rules")

    def __init__(self, allow: Networks, deny: Networks) -> None:
        self._known: dict[str, bool] = {}
        self._rest = not allow
        self._nameless = "all" in allow and "all" not in deny
        decided: dict[tuple[int, int], dict[int, bool]] = {}
        for networks, admitted in ((allow, True), (deny, False)):  # the later word counts
            for network in _spelt(networks):
                shift = network.max_prefixlen - network.prefixlen
                number = int(network.network_address) >> shift
                decided.setdefault((network.version, shift), {})[number] = admitted
        self._rules = tuple(
            (version, shift, decided[version, shift]) for version, shift in sorted(decided)
        )

    def admits(self, address: str) -> bool:
        """Tell whether a client is let in. Costs one look-up for an address seen before."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            known = self._known[address] = self._judge(plain_address(address))
        return known

    def _judge(self, address: str) -> bool:
        if not address:
            return self._nameless
        found = ipaddress.ip_address(address)
        number = int(found)
        for version, shift, admitted in self._rules:  # the smallest networks come first
            if version == found.version:
                decision = admitted.get(number >> shift)
                if decision is not None:
                    return decision
        return self._rest


def _spelt(networks: Networks) -> list[Network]:
    spelt: list[Network] = []
    for network in networks:
        spelt.extend(_EVERYWHERE if network == "all" else (_unpacked(network),))
    return spelt


def _unpacked(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one stands for, any other as it is."""
    if network.version == 6 and network.subnet_of(_MAPPED):
        number = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((number, network.prefixlen - 96))
    return network


def access(rules: AddressRules) -> Part:
    """Return the part that answers 403 to whom the rules keep out; the answer says no more."""
    admits = rules.admits

    def gate(exchange: Exchange) -> None:
        if not admits(exchange.address):
            raise ProxyError(403, Fault.CLIENT, f"no access from {exchange.address or 'nowhere'}")

    return Part(NAME, gate=gate)
