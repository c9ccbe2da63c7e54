"""Addresses of clients, and the networks they come from.

An address has one spelling here, and an IPv4 address that a dual-stack socket shows inside an IPv6
one is the IPv4 address (RFC 4291, 2.5.5.2), within networks too.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = Iterable[Network | Literal["all"]]
"""`all` is every address, and also a client that has none: the peer of a unix socket."""

_MOST_REMEMBERED = 4096
"""Addresses, at about 150 bytes each."""

_LONGEST = 64
"""Characters: an IPv6 address has up to 45, and its zone, the name of an interface, 16."""

_EVERY: tuple[Network, ...] = (
    ipaddress.ip_network("0.0.0.0/0"),
    ipaddress.ip_network("::/0"),
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def plain_address(text: str) -> str:
    """Return an IP address in its one spelling, or "" for what is none (a unix socket's peer).

    A zone is left out.
    """
    return _plain(text) if len(text) <= _LONGEST else ""


@lru_cache(maxsize=_MOST_REMEMBERED)
def _plain(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


@lru_cache(maxsize=_MOST_REMEMBERED)
def client_key(address: str) -> bytes:
    """Return what counts as one client: an IPv4 address, the /64 of an IPv6 one.

    Whoever has one address of a /64 has all of them. What is no address at all, such as the name
    of a unix socket, counts under its own name.
    """
    plain = plain_address(address)
    if not plain:
        return b"?" + address.encode("utf-8", "surrogatepass")
    return ipaddress.ip_address(plain).packed[:8]


class NetworkSet:
    """Some networks, less others: the smallest of all that an address is in decides.

    Where a network is both in the set and taken out of it, it is out. The order in which networks
    are given means nothing.
    """

    __slots__ = ("__weakref__", "_known", "_nameless", "_rest", "_rules")

    def __init__(self, networks: Networks, without: Networks = (), *, rest: bool = False) -> None:
        """Take what is in the set, what is not, and whether addresses are that neither holds.

        Clients without an address are in it only if `all` is, and is not taken out.
        """
        self._known: dict[str, bool] = {}
        self._rest = rest
        self._nameless = False
        decided: dict[tuple[int, int], dict[int, bool]] = {}
        for given, within in ((networks, True), (without, False)):  # the later word counts
            for one in given:
                if one == "all":
                    self._nameless = within
                for network in _EVERY if one == "all" else (_unpacked(one),):
                    shift = network.max_prefixlen - network.prefixlen
                    number = int(network.network_address) >> shift
                    decided.setdefault((network.version, shift), {})[number] = within
        self._rules = tuple(
            (version, shift, decided[version, shift]) for version, shift in sorted(decided)
        )

    def contains(self, address: str) -> bool:
        """Tell whether an address is in the set. Costs one look-up for one seen before."""
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
        for version, shift, within in self._rules:  # the smallest networks come first
            if version == found.version:
                decision = within.get(number >> shift)
                if decision is not None:
                    return decision
        return self._rest


def _unpacked(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one stands for, any other as it is."""
    if network.version == 6 and network.subnet_of(_MAPPED):
        number = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((number, network.prefixlen - 96))
    return network
