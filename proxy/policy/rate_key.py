"""What a rate limit tells requests apart by: each function returns the key of an exchange.

A client is an IPv4 address or an IPv6 /64, as trusted proxies tell it: whoever has one address of a
/64 has all of them. A limit by header or cookie counts a request that has none by its client, for
otherwise leaving it out would be the way around the limit. Making values up is another: a limit by
header or cookie bounds what one honest user does, and needs one by client beside it to bound what
one client does with many values.
"""

from collections.abc import Callable

from proxy.exchange.exchange import Exchange
from proxy.message.fields import cookie_value, field_values
from proxy.message.networks import client_key

Key = Callable[[Exchange], bytes | None]
"""Returns an exchange's key, of any length, or None for one that is not counted."""

_MOST_REMEMBERED = 4096


def by_client(exempt: Callable[[str], bool]) -> Key:
    """Return what counts by client, but for the addresses that are exempt."""
    known: dict[str, bytes | None] = {}

    def key(exchange: Exchange) -> bytes | None:
        address = exchange.address
        try:
            return known[address]
        except KeyError:
            if len(known) >= _MOST_REMEMBERED:
                known.clear()
            found = known[address] = None if exempt(address) else client_key(address)
            return found

    return key


def by_header(name: str, client: Key) -> Key:
    """Return what counts by the value of a field, repeated ones joined, or else by client."""

    def key(exchange: Exchange) -> bytes | None:
        value = ", ".join(field_values(exchange.head.block, name))
        return _value_or_client(value, client(exchange))

    return key


def by_cookie(name: str, client: Key) -> Key:
    """Return what counts by the value of a cookie, or else by client."""

    def key(exchange: Exchange) -> bytes | None:
        value = cookie_value(exchange.head.block, name) or ""
        return _value_or_client(value, client(exchange))

    return key


def by_host(client: Key) -> Key:
    """Return what counts by the host asked for; `client` only tells who is exempt."""

    def key(exchange: Exchange) -> bytes | None:
        return None if client(exchange) is None else exchange.head.host.encode()

    return key


def together(client: Key) -> Key:
    """Return what counts all requests together; `client` only tells who is exempt."""

    def key(exchange: Exchange) -> bytes | None:
        return None if client(exchange) is None else b""

    return key


def _value_or_client(value: str, client: bytes | None) -> bytes | None:
    if client is None:
        return None
    # Marked, so that no value is ever taken for a client's address.
    return b"=" + value.encode() if value else b"@" + client
