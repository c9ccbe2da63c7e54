"""From HTTP/2's fields to the head that the rest of the house knows (RFC 9113, 8).

A request's fields are checked, put into the one canonical form of HTTP/1.1, and read by the same
grammar as a request of that version. So what a field means is written once, and nothing that a
client writes in HTTP/2 can become something else in HTTP/1.1: a value with a line break, a name
that is none, a target with a space never get as far as being put into lines.
"""

import re
from collections.abc import Iterable, Sequence

from proxy.errors import BadRequestError
from proxy.message.head import RequestHead
from proxy.message.hop_by_hop import forwardable_trailers
from proxy.wire.http1_fallback import read_request
from proxy.wire.http1_grammar import match_request
from proxy.wire.http2_hpack import Field
from proxy.wire.websocket_bridge import upgrading

_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch  # in small letters (RFC 9113, 8.2.1)
_value = re.compile(rb"(?:[!-~\x80-\xff](?:[\t\x20-~\x80-\xff]*[!-~\x80-\xff])?)?").fullmatch
_method = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}").fullmatch
_path = re.compile(rb"/[!-~]*|\*").fullmatch
_authority = re.compile(rb"[!-~]{1,256}").fullmatch
_length = re.compile(rb"[0-9]{1,18}").fullmatch
_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
_OF_ONE_CONNECTION = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_KNOWN_LINE = 512  # bytes of a line that is remembered
_MOST_KNOWN = 64
_REQUIRED = (b":method", b":scheme", b":path")


class MalformedError(Exception):
    """A message that RFC 9113, 8.1.1 calls malformed: its stream ends with PROTOCOL_ERROR."""


class _Gathered:
    """What a request's fields come to, one after the other."""

    __slots__ = ("cookies", "host", "late", "length", "lines", "pseudo", "te")

    def __init__(self) -> None:
        self.pseudo: dict[bytes, bytes] = {}
        self.lines: list[bytes] = []
        self.cookies: list[bytes] = []
        self.host: bytes | None = None
        self.length: int | None = None
        self.late = False  # for pseudo-header fields
        self.te = False  # it has one, which can say but one thing

    def take(self, field: Field, known: dict[Field, bytes]) -> None:
        """Take a field that is not among the known ones."""
        name, value = field
        if name[:1] == b":":
            if self.late or name in self.pseudo or name not in _PSEUDO or _value(value) is None:
                raise MalformedError("a pseudo-header field out of place")  # RFC 9113, 8.3
            self.pseudo[name] = value
            return
        self.late = True
        if _name(name) is None or _value(value) is None:
            raise MalformedError("a field that no message may have")
        if name == b"cookie":  # may come in crumbs (RFC 9113, 8.2.3)
            if value:
                self.cookies.append(value)
        elif name == b"host":
            if self.host is not None:
                raise MalformedError("more than one Host")
            self.host = value
        elif name in _OF_ONE_CONNECTION or (name == b"te" and value.lower() != b"trailers"):
            raise MalformedError("a field of one connection")  # RFC 9113, 8.2.2
        elif name == b"te":
            self.te = True
        else:
            line = b"%b: %b\r\n" % field
            self.lines.append(line)
            if name == b"content-length":
                self.length = _content_length(self.length, value)
            elif len(line) <= _KNOWN_LINE and len(known) < _MOST_KNOWN:
                known[field] = line


def read_fields(
    fields: Iterable[Field], *, ended: bool, known: dict[Field, bytes] | None = None
) -> RequestHead:
    """Return the head of a request.

    Args:
        fields: As decoded, in their order.
        ended: True when no body follows.
        known: Lines made of fields that passed; more are put in.

    Raises:
        MalformedError: The request is none.
        BadRequestError: It is one, and must not be forwarded; see `http1_grammar`.
    """
    known = {} if known is None else known
    gathered = _Gathered()
    lines = gathered.lines
    for field in fields:
        line = known.get(field)
        if line is None:
            gathered.take(field, known)
        else:
            lines.append(line)
            gathered.late = True
    if gathered.cookies:
        lines.append(b"cookie: %b\r\n" % b"; ".join(gathered.cookies))
    head = _head(gathered.pseudo, gathered.host, b"".join(lines), gathered.length, ended=ended)
    head.te_trailers = gathered.te
    return head


def _content_length(known: int | None, value: bytes) -> int:
    if known is not None or _length(value) is None:
        raise MalformedError("malformed Content-Length")
    return int(value)


def _head(
    pseudo: dict[bytes, bytes],
    host: bytes | None,
    block: bytes,
    length: int | None,
    *,
    ended: bool,
) -> RequestHead:
    method = pseudo.get(b":method", b"")
    if _method(method) is None:
        raise MalformedError("no method")
    protocol = pseudo.get(b":protocol")
    if (method == b"CONNECT") is (protocol is None):
        raise MalformedError("CONNECT is not spoken here, nor any protocol without it")
    if any(not pseudo.get(name) for name in _REQUIRED):
        raise MalformedError("pseudo-header fields missing")
    if protocol is not None:
        _check_extended(protocol, bodiless=ended or length is not None)
        method = b"GET"
    path = pseudo[b":path"]
    if pseudo[b":scheme"] not in (b"https", b"http") or _path(path) is None:
        raise MalformedError("malformed :scheme or :path")
    authority = pseudo.get(b":authority", host or b"")
    # RFC 9113, 8.3.1: of two that differ nobody knows which one is meant.
    if _authority(authority) is None or (host is not None and host.lower() != authority.lower()):
        raise MalformedError("malformed :authority, or another Host")
    if ended and length:
        raise MalformedError("a body was announced and does not come")
    raw = b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (method, path, authority, block)
    head = match_request(raw) or read_request(raw)
    head.version = "HTTP/2.0"
    if protocol is not None:
        upgrading(head)
        return head
    if not ended and length is None:
        head.chunked = True  # a body follows, of a length that is not known
    if head.has_body and b"\nexpect: 100-continue" in b"\n" + block.lower():
        head.expect_continue = True  # the grammar of HTTP/1.1 knew of no body yet
    return head


def _check_extended(protocol: bytes, *, bodiless: bool) -> None:
    """Check what is special about an extended CONNECT (RFC 8441, 4)."""
    if bodiless:
        raise MalformedError("a WebSocket with the body of a request, or with none")
    if protocol.lower() != b"websocket":
        raise BadRequestError("not a WebSocket", status=501)  # as RFC 9220, 3 has it


def read_trailers(fields: Sequence[Field]) -> bytes:
    """Return trailers as a field block.

    Raises:
        MalformedError: They hold what none may (RFC 9113, 8.1).
    """
    for name, value in fields:
        if name in _OF_ONE_CONNECTION or _name(name) is None or _value(value) is None:
            raise MalformedError("a field that no trailers may have")
    return forwardable_trailers(b"".join(b"%b: %b\r\n" % field for field in fields))
