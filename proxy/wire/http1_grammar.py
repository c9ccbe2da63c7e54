"""The fast half of HTTP/1.1: whole heads checked and read by a few compiled expressions.

Strategy. One expression checks a complete head against the strict grammar of RFC 9112: CRLF and
nothing else ends a line, no folding, no space before a colon, no control bytes. It says yes or
nothing. A second expression finds only the fields that a proxy must act on. What is forwarded is
the original block with those lines cut out, so that no list of fields is ever built.

A head the expression does not know (HTTP/1.0, absolute-form, names with underscores, methods of
their own …) is not refused here: `http1_fallback` reads it with h11 and writes it out in
canonical form, which comes back to `interpret_request` like any other. So whatever a field *means*
is written once, in this file.
"""

import re

from proxy.errors import BadRequestError, BadResponseError
from proxy.message.authority import split_authority
from proxy.message.edit import either_case
from proxy.message.head import RequestHead, ResponseHead
from proxy.message.hop_by_hop import REQUEST_FIELDS, RESPONSE_FIELDS, is_forwarding
from proxy.message.target import normalise_path

# tchar of RFC 9110, 5.6.2. Requests leave "_" out: names with underscores are dropped, since
# WSGI and CGI applications cannot tell them from the same name with a hyphen (field spoofing).
_NAME = r"[!#$%&'*+\-.^`|~0-9A-Za-z]+"
_NAME_END = r"[!#$%&'*+\-.^`|~0-9A-Za-z]*+"
ANY_NAME = r"[!#$%&'*+\-.^`|~0-9A-Za-z_]+"
VALUE = r"[\t\x20-\x7e\x80-\xff]*"  # field-content and OWS of RFC 9110, 5.5; obs-text is opaque

# Possessive repeats ("*+"): a line that fits is never given back, so matching stays linear.
_REQUEST = re.compile(
    rf"([A-Z]{{1,32}}) (/[!-\"$-~]*+) HTTP/1\.1\r\n((?:{_NAME}:{VALUE}\r\n)*+)\r\n".encode()
)
_RESPONSE = re.compile(
    rf"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ({VALUE}))?\r\n"
    rf"((?:{ANY_NAME}:{VALUE}\r\n)*+)\r\n".encode()
)


def _acted_on(names: tuple[str, ...]) -> str:
    """Return a pattern for these names and their colon; "*" at the end stands for any end.

    They are grouped by their first letter, so that a line that begins with none of these letters,
    as most do, is passed over at once.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name[0], []).append(name[1:])
    alternatives = "|".join(
        f"{either_case(first)}(?:{'|'.join(_any_end(rest) for rest in rests)})"
        for first, rests in groups.items()
    )
    return f"(?:{alternatives}):"


def _any_end(name: str) -> str:
    begin, star, _ = name.partition("*")
    return either_case(begin) + (_NAME_END if star else "")


def _finder(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Compile an expression that finds lines by name; each match begins at the LF before."""
    return re.compile(rf"\n({_acted_on(names)[:-1]}):[ \t]*([^\r]*)".encode())


_find_request_fields = _finder(REQUEST_FIELDS).finditer
_find_response_fields = _finder(RESPONSE_FIELDS).finditer

# The head of nearly every request of a browser: Host first, perhaps `Connection: keep-alive`, and
# of all other fields none that a proxy acts on. One match reads it, and no line is looked at again.
_ORDINARY = rf"(?:(?!{_acted_on(REQUEST_FIELDS)}){_NAME}:{VALUE}\r\n)*+"
_USUAL = re.compile(
    rf"([A-Z]{{1,32}}) (/[!-\"$-~]*+) HTTP/1\.1\r\n[Hh]ost:[ ]?([!-~]++)\r\n"
    rf"({_ORDINARY})(?:[Cc]onnection:[ ]?keep-alive\r\n)?+({_ORDINARY})\r\n".encode()
)
_TOKEN = re.compile(ANY_NAME.encode())
_DIGITS = re.compile(rb"[0-9]{1,18}")
_WS = b" \t"
_ALREADY_CUT = frozenset((b"close", b"keep-alive", b"upgrade", b"te"))

METHODS = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
}
_REFUSED_METHODS = frozenset(("CONNECT", "TRACE"))


def match_request(raw: bytes) -> RequestHead | None:
    """Read a complete request head, empty line included, if the fast grammar covers it.

    Raises:
        BadRequestError: The head is well-formed but must not be forwarded.
    """
    found = _USUAL.fullmatch(raw)
    if found is not None:
        return _usual_head(*found.groups())
    found = _REQUEST.fullmatch(raw)
    if found is None:
        return None
    method, target = found.group(1, 2)
    return interpret_request(
        METHODS.get(method) or method.decode("ascii"),
        target.decode("ascii"),
        "HTTP/1.1",
        raw,
        found.start(3),
    )


def _usual_head(
    method: bytes, target: bytes, host: bytes, before: bytes, after: bytes
) -> RequestHead:
    """Make the head that `_USUAL` matched; says the same of it as `interpret_request`."""
    name = METHODS.get(method) or method.decode("ascii")
    head = RequestHead(name, target.decode("ascii"), "HTTP/1.1")
    head.authority = authority = host.decode("ascii")
    head.host = split_authority(authority)[0]
    head.block = before + after if after else before
    if name in _REFUSED_METHODS:
        raise BadRequestError(f"method {name} refused", status=501)
    head.path = normalise_path(head.target)
    return head


def interpret_request(
    method: str, target: str, version: str, raw: bytes, start: int
) -> RequestHead:
    """Read what a request's fields mean for a proxy.

    Args:
        method: A token without small letters.
        target: Origin-form, or "*".
        version: "HTTP/1.1" or "HTTP/1.0".
        raw: A head in strict grammar.
        start: Where its fields begin; the byte before is the LF of the request line.

    Raises:
        BadRequestError: 400 for whatever two parsers could read differently, 417, 501.
    """
    head = RequestHead(method, target, version)
    fields = _RequestFields(version)
    kept = []
    position = start
    stop = len(raw) - 2
    for match in _find_request_fields(raw, start - 1, stop):
        begin, end = match.span()
        if begin >= position:
            kept.append(raw[position : begin + 1])
        position = end + 2
        name, value = match.groups()
        fields.take(name.lower(), value.rstrip(_WS))
    if position < stop:
        kept.append(raw[position:stop])
    head.block = kept[0] if len(kept) == 1 else b"".join(kept)
    fields.apply(head)
    if head.authority or version == "HTTP/1.1":
        head.host = split_authority(head.authority)[0]
    if method in _REFUSED_METHODS:
        raise BadRequestError(f"method {method} refused", status=501)
    if target != "*":
        head.path = normalise_path(target)
    elif method != "OPTIONS":
        raise BadRequestError("asterisk-form without OPTIONS")  # RFC 9112, 3.2.4
    return head


class _RequestFields:
    """Collects the fields a proxy acts on, and refuses what is ambiguous."""

    __slots__ = ("chunked", "connection", "expect", "forwarding", "host", "length", "rare", "te",
                 "upgrade", "version")  # fmt: skip

    def __init__(self, version: str) -> None:
        self.version = version
        self.host: bytes | None = None
        self.length: int | None = None
        self.chunked = False
        self.connection = b""
        self.upgrade = b""
        self.expect = False
        self.te = b""
        self.rare = False
        self.forwarding: list[bytes] = []

    def take(self, name: bytes, value: bytes) -> None:
        """Take one field found."""
        if name == b"host":
            if self.host is not None:
                raise BadRequestError("more than one Host")  # RFC 9112, 3.2
            self.host = value
        elif name == b"connection":
            self.connection = self.connection + b"," + value if self.connection else value
        else:
            self.rare = True
            if is_forwarding(name):
                self.forwarding.append(b"%b: %b\r\n" % (name, value))
            else:
                self._take_rare(name, value)

    def _take_rare(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            if self.length is not None:
                raise BadRequestError("more than one Content-Length")  # RFC 9112, 6.3
            if _DIGITS.fullmatch(value) is None:
                raise BadRequestError("malformed Content-Length")
            self.length = int(value)
        elif name == b"transfer-encoding":
            if self.chunked:
                raise BadRequestError("more than one Transfer-Encoding")
            if value.lower() != b"chunked":
                raise BadRequestError("unknown Transfer-Encoding", status=501)
            self.chunked = True
        elif name == b"upgrade":
            self.upgrade = value.lower()
        elif name == b"expect":
            if value.lower() == b"100-continue":
                self.expect = True
            elif self.version == "HTTP/1.1":
                raise BadRequestError("unknown expectation", status=417)
        elif name == b"te":
            self.te = self.te + b"," + value.lower()

    def apply(self, head: RequestHead) -> None:
        """Write what was found into the head."""
        if self.host is not None:
            head.authority = self.host.decode("latin-1")
        elif self.version == "HTTP/1.1":
            raise BadRequestError("no Host")  # RFC 9112, 3.2
        if self.chunked and self.length is not None:
            raise BadRequestError("Content-Length with Transfer-Encoding")  # RFC 9112, 6.1
        if self.chunked and self.version != "HTTP/1.1":
            raise BadRequestError("Transfer-Encoding with HTTP/1.0")
        if self.rare:
            head.content_length = self.length
            head.chunked = self.chunked
            head.forwarding = b"".join(self.forwarding)
            head.te_trailers = b"trailers" in [each.strip(_WS) for each in self.te.split(b",")]
            # RFC 9110, 10.1.1: no 100 for HTTP/1.0, and none where there is no body.
            head.expect_continue = self.expect and self.version == "HTTP/1.1" and head.has_body
        head.keep_alive = self.version == "HTTP/1.1"
        if self.connection and self.connection != b"keep-alive":
            self._apply_connection(head)
        elif self.connection:
            head.keep_alive = True

    def _apply_connection(self, head: RequestHead) -> None:
        tokens, head.block = apply_connection(self.connection, head.block)
        if b"close" in tokens:
            head.keep_alive = False
        elif b"keep-alive" in tokens:
            head.keep_alive = True
        if (
            b"upgrade" in tokens
            and self.upgrade == b"websocket"
            and head.method == "GET"
            and self.version == "HTTP/1.1"
            and not head.has_body
        ):
            head.upgrade = "websocket"


def apply_connection(value: bytes, block: bytes) -> tuple[frozenset[bytes], bytes]:
    """Return the options of Connection, and `block` without the fields it names (RFC 9110, 7.6.1).

    Raises:
        BadRequestError: An option is no token, or there are more than 16.
    """
    options = [token.strip(_WS).lower() for token in value.split(b",")]
    tokens = frozenset(token for token in options if token)
    if len(tokens) > 16 or not all(_TOKEN.fullmatch(token) for token in tokens):
        raise BadRequestError("malformed Connection")
    named = tokens - _ALREADY_CUT
    if named:
        # By line, not by an expression made for the occasion: a client chooses these names, and
        # compiling 30 KB of them takes 120 ms.
        lines = block.splitlines(keepends=True)
        block = b"".join(line for line in lines if line.partition(b":")[0].lower() not in named)
    return tokens, block


def match_response(raw: bytes) -> ResponseHead | None:
    """Read a complete response head if the fast grammar covers it.

    Raises:
        BadResponseError: It is well-formed but must not be forwarded.
    """
    found = _RESPONSE.fullmatch(raw)
    if found is None:
        return None
    minor, status, reason = found.group(1, 2, 3)
    head = ResponseHead(int(status), reason.decode("latin-1") if reason else "")
    head.keep_alive = minor == b"1"
    interpret_response(head, raw, found.start(4), http10=minor == b"0")
    return head


def interpret_response(head: ResponseHead, raw: bytes, start: int, *, http10: bool) -> None:
    """Read what a response's fields mean for a proxy, into `head`.

    Raises:
        BadResponseError: The message's framing can be read in two ways.
    """
    kept = []
    position = start
    connection = b""
    stop = len(raw) - 2
    for match in _find_response_fields(raw, start - 1, stop):
        begin, end = match.span()
        if begin >= position:
            kept.append(raw[position : begin + 1])
        position = end + 2
        name, value = match.groups()
        name, value = name.lower(), value.rstrip(_WS)
        if name == b"connection":
            connection = connection + b"," + value if connection else value
        else:
            _take_response_field(head, name, value)
    if position < stop:
        kept.append(raw[position:stop])
    head.block = kept[0] if len(kept) == 1 else b"".join(kept)
    if head.chunked and (head.content_length is not None or http10):
        raise BadResponseError("answer with both Content-Length and Transfer-Encoding")
    if connection and connection != b"keep-alive":
        _apply_response_connection(head, connection)
    elif connection:
        head.keep_alive = True
    lower = raw.lower()
    head.dated = b"\ndate:" in lower
    if not head.streaming:
        head.streaming = _is_streaming(lower)


def _take_response_field(head: ResponseHead, name: bytes, value: bytes) -> None:
    if name == b"content-length":
        if head.content_length is not None:
            raise BadResponseError("answer with more than one Content-Length")
        if _DIGITS.fullmatch(value) is None:
            raise BadResponseError("answer with a malformed Content-Length")
        head.content_length = int(value)
    elif name == b"transfer-encoding":
        if head.chunked or value.lower() != b"chunked":
            raise BadResponseError("answer with an unknown Transfer-Encoding")
        head.chunked = True
    elif name == b"upgrade":
        head.upgrade = value.lower().decode("latin-1")
    elif name == b"keep-alive":
        found = _KEEP_ALIVE_TIMEOUT.search(value)
        if found is not None:
            head.keep_alive_timeout = float(found[1])
    elif name == b"x-accel-buffering":
        head.streaming = value.lower() == b"no"


def _apply_response_connection(head: ResponseHead, connection: bytes) -> None:
    try:
        tokens, head.block = apply_connection(connection, head.block)
    except BadRequestError as error:
        raise BadResponseError(error.detail) from None
    if b"close" in tokens:
        head.keep_alive = False
    elif b"keep-alive" in tokens:
        head.keep_alive = True


def _is_streaming(lower: bytes) -> bool:
    """Say whether a lower-cased head forbids holding anything of the body back."""
    if b"event-stream" not in lower and b"no-transform" not in lower:
        return False
    return _STREAMING.search(lower) is not None


_KEEP_ALIVE_TIMEOUT = re.compile(rb"(?:^|[\s,;])timeout=([0-9]{1,6})")
_STREAMING = re.compile(
    rb"\ncontent-type:[ \t]*text/event-stream|\ncache-control:[^\n]*\bno-transform\b"
)
