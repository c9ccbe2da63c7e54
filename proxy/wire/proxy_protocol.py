"""The PROXY protocol, versions 1 and 2, as its receiver sees it: who the client behind a peer is.

Rules are those of HAProxy's `proxy-protocol.txt`; "section" below is a section there. Whether the
peer may be believed is not judged here, and a peer that is believed has to send a header: the
receiver never guesses (section 2).
"""

import ipaddress
import re
from typing import NamedTuple

from proxy.errors import BadRequestError

MAX_V1 = 107
"""The longest line of version 1 with its CRLF (section 2.1)."""
MAX_V2 = 4096
"""Ours. Addresses need 52 bytes; the rest is TLVs, in which clouds put some hundred bytes."""

_V1_START = b"PROXY "
_V2_START = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED = 16
_V1_LINE = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})"
)

_LOCAL, _PROXY = 0x20, 0x21  # version 2 in the high nibble
_UNSPEC, _INET, _INET6, _UNIX = 0x00, 0x11, 0x21, 0x31  # family, and STREAM but for UNSPEC
_ADDRESS_BYTES = {_UNSPEC: 0, _INET: 12, _INET6: 36, _UNIX: 216}
_TLV_FIXED = 3

Address = tuple[str, int]
"""An IP address in its short spelling and a port."""


class ProxyProtocolError(BadRequestError):
    """What a trusted peer sent is no PROXY protocol header; the connection is to be closed."""


class ProxyHeader(NamedTuple):
    """A header that is whole.

    Attributes:
        consumed: How many bytes it took; what follows belongs to the client.
        source: The client, or None where the peer speaks for itself (a health check) or names no
            address: then the connection's own addresses count.
        destination: What the client connected to, or None.
    """

    consumed: int
    source: Address | None = None
    destination: Address | None = None


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the header at the start of a connection.

    Args:
        data: All bytes received so far.

    Returns:
        The header, or None while it needs more bytes: never beyond `MAX_V2`.

    Raises:
        ProxyProtocolError: This is no header, whatever follows.
    """
    if data.startswith(_V2_START):
        return _version_2(data)
    if data.startswith(_V1_START):
        return _version_1(data)
    if _V2_START.startswith(data) or _V1_START.startswith(data):
        return None
    raise ProxyProtocolError("no PROXY protocol header")


def _version_1(data: bytes) -> ProxyHeader | None:
    """Read the line of section 2.1."""
    end = data.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(data) >= MAX_V1:
            raise ProxyProtocolError(f"PROXY line longer than {MAX_V1} bytes")
        return None
    line, consumed = data[:end], end + 2
    # What follows UNKNOWN is to be ignored.
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(consumed)
    found = _V1_LINE.fullmatch(line)
    if found is None:
        raise ProxyProtocolError("malformed PROXY line")
    family, source, destination, source_port, destination_port = found.groups()
    return ProxyHeader(
        consumed,
        (_written_address(family, source), _written_port(source_port)),
        (_written_address(family, destination), _written_port(destination_port)),
    )


def _written_address(family: bytes, text: bytes) -> str:
    try:
        if family == b"4":
            return str(ipaddress.IPv4Address(text.decode("ascii")))
        return _plain(ipaddress.IPv6Address(text.decode("ascii")))
    except ValueError:
        raise ProxyProtocolError("malformed address in the PROXY line") from None


def _written_port(text: bytes) -> int:
    port = int(text)
    if port > 0xFFFF:
        raise ProxyProtocolError("port beyond 65535 in the PROXY line")
    return port


def _plain(address: ipaddress.IPv6Address) -> str:
    """Return the spelling by which rules about clients know an address: IPv4 wherever it is."""
    return str(address.ipv4_mapped or address)


def _version_2(data: bytes) -> ProxyHeader | None:
    """Read the block of section 2.2."""
    if len(data) < _V2_FIXED:
        return None
    command, family = data[12], data[13]
    consumed = _V2_FIXED + int.from_bytes(data[14:16], "big")
    if command not in {_LOCAL, _PROXY}:
        raise ProxyProtocolError(f"PROXY version and command {command:#04x}")
    if consumed > MAX_V2:
        raise ProxyProtocolError(f"PROXY header of {consumed} bytes; at most {MAX_V2} are read")
    if command == _PROXY and family not in _ADDRESS_BYTES:
        # Datagrams among them: taking the peer's own address instead would lend the client the
        # rights of the proxy in front.
        raise ProxyProtocolError(f"PROXY address family and transport {family:#04x}")
    if len(data) < consumed:
        return None
    if command == _LOCAL:  # the rest, even the family, is to be ignored
        return ProxyHeader(consumed)
    rest = data[_V2_FIXED:consumed]
    size = _ADDRESS_BYTES[family]
    if len(rest) < size:
        raise ProxyProtocolError("PROXY header too short for its addresses")
    _check_tlvs(rest, size)
    source, destination = _packed_addresses(family, rest)
    return ProxyHeader(consumed, source, destination)


def _packed_addresses(family: int, block: bytes) -> tuple[Address | None, Address | None]:
    """Read both addresses, then both ports; sockets of this machine have none of either."""
    if family == _INET:
        source = str(ipaddress.IPv4Address(block[0:4]))
        destination = str(ipaddress.IPv4Address(block[4:8]))
        ports = block[8:12]
    elif family == _INET6:
        source = _plain(ipaddress.IPv6Address(block[0:16]))
        destination = _plain(ipaddress.IPv6Address(block[16:32]))
        ports = block[32:36]
    else:
        return None, None
    return (
        (source, int.from_bytes(ports[:2], "big")),
        (destination, int.from_bytes(ports[2:], "big")),
    )


def _check_tlvs(block: bytes, at: int) -> None:
    """Walk over the TLVs (section 2.2.7), unused; they have to end where the header does."""
    while at < len(block):
        if len(block) - at < _TLV_FIXED:
            raise ProxyProtocolError("PROXY TLV cut short")
        at += _TLV_FIXED + int.from_bytes(block[at + 1 : at + 3], "big")
    if at > len(block):
        raise ProxyProtocolError("PROXY TLV longer than the header")
