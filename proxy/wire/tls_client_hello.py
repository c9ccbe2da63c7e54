"""What a TLS client says first, read without TLS: for the log, and before a context is chosen.

Strategy. A ClientHello is a handshake message (RFC 8446, 4.1.2) inside one or several records
(5.1); with a post-quantum key share it is longer than one packet. The records' payloads are joined
until the message is whole, then it is read once. Only the three extensions that concern us are
looked at; judging the rest is OpenSSL's part. What is no TLS at all is refused at its first byte.
"""

import re
import struct
from typing import NamedTuple

from proxy.errors import BadRequestError

MAX_HELLO = 32 * 1024
"""Browsers send about 2 KB; OpenSSL takes 128 KB, Go 64 KB."""
MAX_RECORDS = 64
"""A bound on how finely a hello may be chopped, so that reading it again stays cheap."""

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_MAX_RECORD = 1 << 14
_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS = 0, 16, 43
_READ = {_SERVER_NAME, _ALPN, _SUPPORTED_VERSIONS}
_HOST_NAME = 0
_EXTENSION_HEADER = struct.Struct("!HH")
_CUT_SHORT = "ClientHello cut short inside"
_VISIBLE = re.compile(rb"[!-~]{1,255}")


class ClientHelloError(BadRequestError):
    """The bytes are no ClientHello, whatever follows."""


class ClientHello(NamedTuple):
    """What a client offers.

    Attributes:
        server_name: The name it asks for, as sent, visible ASCII; None if it names nobody.
        alpn: Protocols, its preferred first.
        versions: Protocol versions, its preferred first (0x0304 is TLS 1.3), without the
            reserved values of RFC 8701.
    """

    server_name: str | None
    alpn: tuple[bytes, ...]
    versions: tuple[int, ...]


def parse_client_hello(data: bytes) -> ClientHello | None:
    """Read the ClientHello at the start of a connection.

    Args:
        data: All bytes received so far.

    Returns:
        The hello, or None while it needs more bytes.

    Raises:
        ClientHelloError: This is no ClientHello, or it breaks its grammar or our bounds.
    """
    message = _message(data)
    return None if message is None else _hello(message)


def _message(data: bytes) -> bytes | None:
    """Join the records' payloads; return the hello's body when it is whole."""
    joined = bytearray()
    at = 0
    # Nearly always one record holds it all.
    for _ in range(MAX_RECORDS):
        header = data[at : at + _RECORD_HEADER]
        _check_record(header)
        if len(header) < _RECORD_HEADER:
            return None
        size = int.from_bytes(header[3:5], "big")
        at += _RECORD_HEADER
        joined += data[at : at + size]
        wanted = _wanted(joined)
        if wanted is not None and len(joined) >= wanted:
            return bytes(joined[_MESSAGE_HEADER:wanted])
        if at + size > len(data):
            return None
        at += size
    raise ClientHelloError(f"ClientHello in more than {MAX_RECORDS} records")


def _check_record(header: bytes) -> None:
    """Check as much of a record's header as there is."""
    if header and header[0] != _HANDSHAKE:
        raise ClientHelloError("not a TLS handshake")
    if len(header) > 1 and header[1] != 3:  # every version of TLS is 3.x here
        raise ClientHelloError("not a version of TLS")
    if len(header) == _RECORD_HEADER:
        size = int.from_bytes(header[3:5], "big")
        if not 0 < size <= _MAX_RECORD:
            raise ClientHelloError(f"TLS record of {size} bytes")


def _wanted(joined: bytearray) -> int | None:
    """Return the length of the message with its header, or None while that is not known."""
    if joined and joined[0] != _CLIENT_HELLO:
        raise ClientHelloError("first handshake message is no ClientHello")
    if len(joined) < _MESSAGE_HEADER:
        return None
    size = int.from_bytes(joined[1:4], "big")
    if size > MAX_HELLO:
        raise ClientHelloError(f"ClientHello of {size} bytes; at most {MAX_HELLO} are read")
    return _MESSAGE_HEADER + size


def _vector(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    """Take bytes with their length, a number `width` bytes long, in front (RFC 8446, 3.4).

    Returns:
        The bytes, and where the next thing stands.
    """
    start = at + width
    end = start + int.from_bytes(data[at:start], "big")
    if end > len(data):
        raise ClientHelloError(_CUT_SHORT)
    return data[start:end], end


def _hello(body: bytes) -> ClientHello:
    at = 2 + 32  # version and random
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        _, at = _vector(body, at, width)
    extensions = _extensions(body, at)
    return ClientHello(
        server_name=_server_name(extensions.get(_SERVER_NAME)),
        alpn=_alpn(extensions.get(_ALPN)),
        versions=_versions(extensions.get(_SUPPORTED_VERSIONS), body[:2]),
    )


def _extensions(body: bytes, at: int) -> dict[int, bytes]:
    """Take what stands at the end; before TLS 1.3 there need not be any."""
    found: dict[int, bytes] = {}
    if at == len(body):
        return found
    block, at = _vector(body, at, 2)
    if at != len(body):
        raise ClientHelloError("bytes after the extensions of the ClientHello")
    at, end = 0, len(block)
    while at < end:
        if end - at < _EXTENSION_HEADER.size:
            raise ClientHelloError(_CUT_SHORT)
        kind, size = _EXTENSION_HEADER.unpack_from(block, at)
        at += _EXTENSION_HEADER.size
        if kind in _READ:
            if kind in found:
                raise ClientHelloError(f"extension {kind} stands twice")
            found[kind] = block[at : at + size]
        at += size
    if at > end:
        raise ClientHelloError(_CUT_SHORT)
    return found


def _server_name(extension: bytes | None) -> str | None:
    """Read RFC 6066, 3: a list that in practice holds one host name."""
    if extension is None:
        return None
    entries, _ = _vector(extension, 0, 2)
    at = 0
    while at < len(entries):
        kind = entries[at]
        name, at = _vector(entries, at + 1, 2)
        if kind == _HOST_NAME:
            # Python's ssl chokes, aloud on stderr, on a name that is not ASCII.
            if not _VISIBLE.fullmatch(name):
                raise ClientHelloError("server name that is no name")
            return name.decode("ascii")
    return None


def _alpn(extension: bytes | None) -> tuple[bytes, ...]:
    """Read RFC 7301, 3.1."""
    if extension is None:
        return ()
    names, _ = _vector(extension, 0, 2)
    offered = []
    at = 0
    while at < len(names):
        name, at = _vector(names, at, 1)
        offered.append(name)
    return tuple(offered)


def _versions(extension: bytes | None, legacy_version: bytes) -> tuple[int, ...]:
    """Read RFC 8446, 4.2.1."""
    numbers = legacy_version if extension is None else _vector(extension, 0, 1)[0]
    if len(numbers) % 2:
        raise ClientHelloError(_CUT_SHORT)
    offered = struct.unpack(f"!{len(numbers) // 2}H", numbers)
    return tuple([each for each in offered if not _is_reserved(each)])


def _is_reserved(number: int) -> bool:
    """Tell the values by which clients test that servers ignore what they do not know."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF
