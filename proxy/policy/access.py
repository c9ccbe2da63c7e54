"""Lets clients in, or keeps them out, by the network they come from.

Of all networks that an address is in, the smallest decides; where one is both let in and kept out,
it is kept out. Whom no network decides about is let in where nothing is allowed by name, and kept
out otherwise. The order in which networks are given means nothing.

The address is the one that trusted proxies vouch for. An IPv4 address inside an IPv6 one is the
IPv4 address (RFC 4291, 2.5.5.2). A client without an address, the peer of a unix socket that
nobody vouches for, might be anybody: `all` alone speaks of it, and without that it is kept out.
"""

from proxy.errors import Fault, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.message.networks import NetworkSet
from proxy.policy.part import Part

NAME = "access"


def access(let_in: NetworkSet) -> Part:
    """Return the part that answers 403 to whom it does not let in; the answer says no more."""
    is_let_in = let_in.contains

    def gate(exchange: Exchange) -> None:
        if not is_let_in(exchange.address):
            raise ProxyError(403, Fault.CLIENT, f"no access from {exchange.address or 'nowhere'}")

    return Part(NAME, gate=gate)
