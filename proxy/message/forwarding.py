"""Who the client is: what trusted proxies say of it, and what is said of it to upstreams.

A trusted proxy writes at the right end of X-Forwarded-For whom it heard from. Read from the right,
every address is vouched for by a trusted one as long as only trusted ones stand to its right, so
the first that is not trusted is the client; what stands left of it is the client's own say and is
neither believed nor passed on. `Forwarded` (RFC 7239) is read in the same way where
X-Forwarded-For is missing.

CF-Connecting-IP marks where to stop in X-Forwarded-For, even at a trusted address: a Worker reaches
a site from within Cloudflare's own networks, and what is left of it in the list is its own choice.
It counts by itself only where X-Forwarded-For is missing, since a trusted proxy that is not
Cloudflare's passes on the one that a client sends. Where it and `Forwarded` then differ, neither is
believed.

Fields that are not understood here (X-Forwarded-User, Client-Cert, X-Original-URL …) are a trusted
proxy's own affair and passed on from it alone: it has to cut what its clients send by these names.

Of fields that tell one thing (X-Forwarded-Proto, -Port, -Host) the last value counts: the nearest
trusted proxy wrote it. What cannot be understood is as good as not said.
"""

import re
from functools import lru_cache
from typing import Protocol

from proxy.errors import BadRequestError
from proxy.message.authority import DEFAULT_PORTS, split_authority
from proxy.message.head import RequestHead
from proxy.message.networks import NetworkSet, plain_address

MOST_HOPS = 32
"""Addresses looked at in one list. Chains of real proxies have three or four."""

_LARGEST_PORT = 65535
_SCHEMES = {"https": "https", "http": "http", "wss": "https", "ws": "http"}
"""Some proxies send the scheme of a WebSocket's URL."""

_OURS = frozenset({
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip",
    "forwarded", "cf-connecting-ip", "x-request-id",
})  # fmt: skip
"""Read, and written anew or left out; of other forwarding fields nothing is known."""

_request_id = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}", re.ASCII).fullmatch
_node = re.compile(r"\[([^\]]+)\](?::[^:]*)?|([^:]+)(?::[^:]*)?|(.*)").fullmatch
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"((?:[^"\\]|\\.)*+)"'
_pair = re.compile(rf"[ \t]*(?:({_NAME})=(?:([^\s\",;]+)|{_QUOTED}))?[ \t]*(;|,|\Z)").match


class Peer(Protocol):
    """The other end of a client connection, as `exchange.Client` has it."""

    @property
    def peer(self) -> str:
        """Address of the TCP peer."""

    @property
    def scheme(self) -> str:
        """How it is connected: "https" or "http"."""

    @property
    def local_port(self) -> int:
        """The port it came in by."""

    @property
    def trusted(self) -> bool:
        """True when its forwarding fields are believed."""


class Forwardable(Protocol):
    """What an `Exchange` knows of its client."""

    head: RequestHead
    address: str
    scheme: str
    port: int
    request_id: str

    @property
    def client(self) -> Peer:
        """The connection."""


def believe(exchange: Forwardable, trusted: NetworkSet) -> None:
    """Take over what a trusted peer says of its client: address, scheme, port, request id.

    Does nothing for a peer that is not trusted. Raises nothing, whatever the fields hold.
    """
    head = exchange.head
    if not exchange.client.trusted or not head.forwarding:
        return
    told = _told(head.forwarding)
    forwarded = _elements(told.get("forwarded", "")) if "x-forwarded-for" not in told else []
    address = _told_address(told, forwarded, trusted)
    if address:
        exchange.address = address
    scheme = _last(told, "x-forwarded-proto") or (
        forwarded[-1].get("proto", "") if forwarded else ""
    )
    known = _SCHEMES.get(scheme.lower(), "")
    if known:
        exchange.scheme = known
    if known or "x-forwarded-port" in told:
        exchange.port = _port(exchange, told)
    request_id = told.get("x-request-id", "")
    if _request_id(request_id):
        exchange.request_id = request_id


def forwarding_block(exchange: Forwardable, *, forwarded: bool = False) -> bytes:
    """Return the lines that tell an upstream of the client, as a field block.

    X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port and X-Real-IP, and from a
    trusted peer what it sent beside those, repeated fields joined. Without X-Request-ID: for a peer
    that is not trusted the block depends on nothing but the connection and `head.authority`, and
    can be kept.

    Args:
        exchange: After `believe`.
        forwarded: Whether to add the standard Forwarded field.
    """
    told = _told(exchange.head.forwarding) if exchange.client.trusted else {}
    others = [f"{name}: {value}" for name, value in told.items() if name not in _OURS]
    chain = _chain(exchange, told)
    authority = exchange.head.authority
    host = _told_host(told) or authority
    lines = [f"X-Forwarded-For: {', '.join(chain)}", f"X-Forwarded-Proto: {exchange.scheme}"]
    if host:
        lines.append(f"X-Forwarded-Host: {host}")
    lines.append(f"X-Forwarded-Port: {_port(exchange, told)}")
    address = plain_address(exchange.address)
    if address:
        lines.append(f"X-Real-IP: {address}")
    if forwarded:
        lines.append(f"Forwarded: {_forwarded(chain, exchange.scheme, host)}")
    return "".join(f"{line}\r\n" for line in [*lines, *others]).encode("latin-1")


@lru_cache(maxsize=256)
def _told(block: bytes) -> dict[str, str]:
    """Return a block's fields by lower-case name, repeated ones joined (RFC 9110, 5.3)."""
    told: dict[str, str] = {}
    for line in block.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.lower(), value.strip(" \t")
            told[name] = f"{told[name]}, {value}" if name in told else value
    return told


def _last(told: dict[str, str], name: str) -> str:
    return told.get(name, "").rpartition(",")[2].strip(" \t")


def _told_address(
    told: dict[str, str], forwarded: list[dict[str, str]], trusted: NetworkSet
) -> str:
    connecting = plain_address(told.get("cf-connecting-ip", ""))
    if "x-forwarded-for" in told:
        return _walk(_entries(told), trusted, connecting)
    standard = _walk([each.get("for", "") for each in forwarded[-MOST_HOPS:]], trusted, "")
    if standard and connecting:
        return standard if standard == connecting else ""
    return standard or connecting


def _entries(told: dict[str, str]) -> list[str]:
    """Return the right end of X-Forwarded-For."""
    entries = told.get("x-forwarded-for", "").rsplit(",", MOST_HOPS)[-MOST_HOPS:]
    return [entry for entry in entries if entry.strip(" \t")]


def _walk(entries: list[str], trusted: NetworkSet, stop: str) -> str:
    """Return the right-most address that is not trusted; failing that, the last vouched for."""
    address = ""
    for entry in reversed(entries):
        found = _address(entry)
        if not found:
            break
        address = found
        if found == stop or not trusted.contains(found):
            break
    return address


def _address(entry: str) -> str:
    """Return the address in an entry, which may have a port, or ""."""
    found = _node(entry.strip(" \t"))
    return plain_address(found[1] or found[2] or found[3]) if found else ""


def _elements(value: str) -> list[dict[str, str]]:
    """Return the elements of a Forwarded field (RFC 7239, 4), [] where it breaks the grammar.

    All or nothing, so that a quote that a client leaves open cannot swallow what a proxy adds.
    """
    elements: list[dict[str, str]] = [{}]
    at = 0
    while at < len(value):
        found = _pair(value, at)
        if found is None:
            return []
        name, token, quoted, end = found.groups()
        if name is not None:
            text = token if token is not None else re.sub(r"\\(.)", r"\1", quoted)
            elements[-1][name.lower()] = text
        if end == ",":
            elements.append({})
        at = found.end()
    return [element for element in elements if element]


def _told_host(told: dict[str, str]) -> str:
    host = _last(told, "x-forwarded-host")
    try:
        split_authority(host)
    except BadRequestError:
        return ""
    return host


def _port(exchange: Forwardable, told: dict[str, str]) -> int:
    """Return the port the client asked for: as told, else of its Host, else the scheme's.

    Not the port of the listening socket, which behind a container's port mapping is another.
    """
    text = _last(told, "x-forwarded-port")
    if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _LARGEST_PORT:
        return int(text[:6])
    authority = _told_host(told) or exchange.head.authority
    if not authority:
        return exchange.client.local_port
    try:
        port = split_authority(authority)[1]
    except BadRequestError:
        port = None
    return port or DEFAULT_PORTS.get(exchange.scheme, exchange.client.local_port)


def _chain(exchange: Forwardable, told: dict[str, str]) -> list[str]:
    """Return the addresses from the client to the peer, those that trusted proxies vouch for."""
    peer = plain_address(exchange.client.peer) or "unknown"
    address = plain_address(exchange.address)
    if not address or address == peer:
        return [peer]
    hops: list[str] = []
    for entry in reversed(_entries(told)):
        found = _address(entry)
        if not found:
            break
        hops.append(found)
        if found == address:
            return [*reversed(hops), peer]
    return [address, peer]


def _forwarded(chain: list[str], scheme: str, host: str) -> str:
    nodes = [f'for="[{each}]"' if ":" in each else f"for={each}" for each in chain]
    if host:
        nodes[0] += f';host="{host}"'
    nodes[0] += f";proto={scheme}"
    return ", ".join(nodes)
