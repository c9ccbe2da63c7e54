"""Between HTTP/2's fields and what the house knows, where it is the client (RFC 9113, 8).

A request's head is made once, for HTTP/1.1, and turned here. An answer's fields are checked, put
into the one canonical form of HTTP/1.1, and read by the same grammar as an answer of that version:
what a field means is written once, and a value with a line break never gets into a line.
"""

import re
from collections.abc import Sequence

from proxy.errors import BadResponseError
from proxy.message.head import ResponseHead
from proxy.message.hop_by_hop import forwardable_trailers
from proxy.message.status import reason
from proxy.wire.http1_grammar import interpret_response

Field = tuple[bytes, bytes]

_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch  # in small letters (RFC 9113, 8.2.1)
_value = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch
_status = re.compile(rb"[1-9][0-9][0-9]").fullmatch
_grpc = re.compile(rb"\ncontent-type: application/grpc", re.ASCII).search
_OF_ONE_CONNECTION = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
# Lines of a request in HTTP/1.1 that HTTP/2 says in other ways, or not at all (RFC 9113, 8.2.2).
_NOT_SAID = _OF_ONE_CONNECTION | {b"host"}
_MOST_INTERIM = 16  # 1xx answers before the final one, as in HTTP/1.1
_NO_BODY = frozenset((204, 304))


def request_fields(raw: bytes, scheme: bytes) -> list[Field]:
    """Return the fields that say in HTTP/2 what a request's head says in HTTP/1.1.

    Args:
        raw: A head of our own making, in strict grammar.
        scheme: "http" or "https".
    """
    lines = raw.split(b"\r\n")
    method, target, _ = lines[0].split(b" ")
    authority = b""
    fields: list[Field] = []
    for line in lines[1:-2]:
        name, _, value = line.partition(b":")
        name = name.lower()
        value = value.strip(b" \t")
        if name == b"host":
            authority = value
        elif name not in _NOT_SAID:
            fields.append((name, value))
    pseudo = [(b":method", method), (b":scheme", scheme), (b":path", target)]
    if authority:
        pseudo.append((b":authority", authority))
    return pseudo + fields


def trailer_fields(block: bytes) -> list[Field]:
    """Return a field block of trailers as HTTP/2's fields."""
    lines = [line.partition(b":") for line in block.split(b"\r\n") if line]
    return [(name.lower(), value.strip(b" \t")) for name, _, value in lines]


class Answer:
    """What is known of one answer while it comes.

    Attributes:
        trailers: As decoded, once they came.
    """

    __slots__ = ("_bodiless", "_head_request", "_interim", "_left", "_read", "trailers")

    def __init__(self, *, head_request: bool) -> None:
        self._head_request = head_request
        self._interim = 0
        self._read = False
        self._bodiless = False
        self._left: int | None = None
        self.trailers: Sequence[Field] = ()

    def read_head(self, fields: Sequence[Field], *, ended: bool) -> ResponseHead:
        """Return a head, 1xx or final.

        Raises:
            BadResponseError: It is none, or its length is not that of a body that ended.
        """
        head = _read(fields)
        if head.status < 200:
            self._interim += 1
            if head.status == 101 or self._interim > _MOST_INTERIM:  # RFC 9113, 8.6
                raise BadResponseError("a 1xx answer that HTTP/2 does not have, or too many")
            return head
        self._read = True
        self._bodiless = self._head_request or head.status in _NO_BODY
        self._left = None if self._bodiless else head.content_length
        if ended and self._left:
            raise BadResponseError("the answer ends before its Content-Length")
        if ended and head.content_length is None and not self._bodiless and not head.streaming:
            head.content_length = 0  # of gRPC an answer of trailers alone, which says no length
        return head

    def read_body(self, data: bytes) -> None:
        """Look at a piece of the body.

        Raises:
            BadResponseError: There must be none, or not as much.
        """
        if not self._read:
            raise BadResponseError("a body before the answer's head")
        if not data:
            return
        if self._bodiless:
            raise BadResponseError("a body where there must be none")
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise BadResponseError("the answer is longer than its Content-Length")

    def end(self) -> bytes:
        """Return the trailers, those that may be passed on, as a field block.

        Raises:
            BadResponseError: They hold what none may, or the answer is too short.
        """
        if not self._read:
            raise BadResponseError("an end before the answer's head")
        if self._left:
            raise BadResponseError("the answer ends before its Content-Length")
        return forwardable_trailers(_block(self.trailers)) if self.trailers else b""


def _read(fields: Sequence[Field]) -> ResponseHead:
    if not fields or fields[0][0] != b":status" or _status(fields[0][1]) is None:
        raise BadResponseError("an answer without a status")
    block = _block(fields[1:])
    raw = b"\n%b\r\n" % block
    status = int(fields[0][1])
    head = ResponseHead(status, reason(status))
    interpret_response(head, raw, 1, http10=False)
    if _grpc(raw) is not None:  # who streams both ways waits for each message
        head.streaming = True
    return head


def _block(fields: Sequence[Field]) -> bytes:
    lines = []
    for name, value in fields:
        # Also a pseudo-header field: their names have a colon, and only one may be here (8.3.2).
        if name in _OF_ONE_CONNECTION or _name(name) is None or _value(value) is None:
            raise BadResponseError("a field that no answer may have")  # RFC 9113, 8.2
        lines.append(b"%b: %b\r\n" % (name, value.strip(b" \t")))
    return b"".join(lines)
