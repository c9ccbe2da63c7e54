"""The other half of HTTP/1.1: what the fast grammar does not cover, read by h11 behind a guard.

h11 is more lenient than a hop may be (it takes a bare LF for a line's end, and folded lines), so
the guard refuses first what must never cross a hop. What h11 then accepts is written out afresh,
one field a line, and goes to the same interpretation as every other head: nothing is forwarded as
it came, and nothing is interpreted twice.
"""

import re

import h11

from proxy.errors import BadRequestError, BadResponseError, ProxyError
from proxy.message.head import RequestHead, ResponseHead
from proxy.wire.events import MessageEnd
from proxy.wire.http1_grammar import interpret_request, interpret_response

# A CR or LF without its other half, a NUL, or a line that begins with white space (obs-fold).
_FORBIDDEN = re.compile(rb"(?<!\r)\n|\r(?!\n)|\x00|\n[ \t]")
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}")
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?#]*)([^#]*)")
_VERSIONS = {b"1.1": "HTTP/1.1", b"1.0": "HTTP/1.0"}
_MAX_TRAILERS = 16 * 1024  # bytes of a chunk's head, or of all trailers; as h11's own default

# Fields that mean something before the body is read must not come after it (RFC 9110, 6.5.1).
_NOT_IN_TRAILERS = frozenset((
    b"age", b"authorization", b"cache-control", b"connection", b"content-encoding",
    b"content-length", b"content-range", b"content-type", b"cookie", b"date", b"expect",
    b"expires", b"forwarded", b"host", b"if-match", b"if-modified-since", b"if-none-match",
    b"if-range", b"if-unmodified-since", b"keep-alive", b"location", b"max-forwards",
    b"proxy-authenticate", b"proxy-authorization", b"range", b"retry-after", b"set-cookie", b"te",
    b"trailer", b"transfer-encoding", b"upgrade", b"vary", b"www-authenticate",
))  # fmt: skip


def read_request(raw: bytes) -> RequestHead:
    """Read a complete request head that the fast grammar did not cover.

    Raises:
        BadRequestError: It is not HTTP/1.x, or no hop may forward it.
    """
    if _FORBIDDEN.search(raw):
        raise BadRequestError("bare CR, LF or NUL, or a folded line, in the head")
    machine = h11.Connection(h11.SERVER, max_incomplete_event_size=len(raw) + 1)
    try:
        machine.receive_data(raw)
        event = machine.next_event()
    except h11.RemoteProtocolError as error:
        raise BadRequestError(f"malformed head: {error}") from None
    if not isinstance(event, h11.Request):
        raise BadRequestError("malformed head")
    version = _VERSIONS.get(event.http_version)
    if version is None:
        raise BadRequestError("unknown HTTP version", status=505)
    method = event.method.decode("ascii")
    if _METHOD.fullmatch(method) is None:
        raise BadRequestError("malformed method")
    # Names with underscores are dropped: see `http1_grammar`.
    fields = [(name, value) for name, value in event.headers.raw_items() if b"_" not in name]
    target, fields = _origin_form(method, event.target.decode("ascii"), fields)
    block = b"".join(b"%b: %b\r\n" % field for field in fields)
    return interpret_request(method, target, version, b"\n" + block + b"\r\n", 1)


def _origin_form(
    method: str, target: str, fields: list[tuple[bytes, bytes]]
) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Turn absolute-form into origin-form; its authority takes Host's place (RFC 9112, 3.2.2)."""
    if method == "CONNECT":
        raise BadRequestError("CONNECT refused", status=501)
    if "#" in target:
        raise BadRequestError("fragment in the target")
    if target.startswith("/") or target == "*":
        return target, fields
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not absolute[1]:
        raise BadRequestError("malformed target")
    path = absolute[2]
    if sum(name.lower() == b"host" for name, _ in fields) > 1:
        raise BadRequestError("more than one Host")
    others = [field for field in fields if field[0].lower() != b"host"]
    fields = [(b"Host", absolute[1].encode("ascii")), *others]
    if not path and method == "OPTIONS":
        return "*", fields  # RFC 9112, 3.2.4
    return (path if path.startswith("/") else "/" + path), fields


def read_response(raw: bytes) -> ResponseHead:
    """Read a complete response head that the fast grammar did not cover.

    Raises:
        BadResponseError: It is not HTTP/1.x, or no hop may forward it.
    """
    if _FORBIDDEN.search(raw):
        raise BadResponseError("bare CR, LF or NUL, or a folded line, in the answer's head")
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=len(raw) + 1)
    machine.send(h11.Request(method="GET", target="/", headers=[("Host", "upstream")]))
    machine.send(h11.EndOfMessage())
    try:
        machine.receive_data(raw)
        event = machine.next_event()
    except h11.RemoteProtocolError as error:
        raise BadResponseError(f"malformed answer: {error}") from None
    if not isinstance(event, h11.Response | h11.InformationalResponse):
        raise BadResponseError("malformed answer")
    if event.http_version not in _VERSIONS:
        raise BadResponseError("answer in an unknown HTTP version")
    head = ResponseHead(event.status_code, event.reason.decode("latin-1"))
    head.keep_alive = event.http_version == b"1.1"
    block = b"".join(b"%b: %b\r\n" % field for field in event.headers.raw_items())
    interpret_response(head, b"\n" + block + b"\r\n", 1, http10=event.http_version == b"1.0")
    return head


class OddChunks:
    """Reads the rest of a chunked body, from a chunk's head on: extensions, trailers, oddities.

    h11 reads it as the body of a message whose head we made; that it takes a bare LF among the
    trailers is checked afterwards on the bytes themselves.
    """

    __slots__ = ("_error", "_machine", "_tail", "rest")

    def __init__(self, error: type[BadRequestError | BadResponseError]) -> None:
        self._error = error
        self._tail = b""
        self.rest = b""
        self._machine = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_TRAILERS)
        self._machine.receive_data(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        self._machine.next_event()

    def receive(self, data: bytes) -> tuple[bytes, MessageEnd | None]:
        """Feed bytes; return the body's bytes among them, and the end if it came.

        After the end, `rest` holds what follows the message.

        Raises:
            ProxyError: The chunks or trailers are malformed; of the class given.
        """
        self._tail = (self._tail + data)[-4 * _MAX_TRAILERS - len(data) :]
        pieces: list[bytes] = []
        try:
            self._machine.receive_data(data)
            while True:
                event = self._machine.next_event()
                if isinstance(event, h11.Data):
                    pieces.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    return b"".join(pieces), self._end(event)
                else:
                    return b"".join(pieces), None
        except h11.RemoteProtocolError as error:
            raise self._fail(f"malformed chunk: {error}") from None

    def _end(self, event: h11.EndOfMessage) -> MessageEnd:
        self.rest = bytes(self._machine.trailing_data[0])
        trailers = list(event.headers.raw_items())
        lines = self._tail[: len(self._tail) - len(self.rest)].split(b"\r\n")
        fields = lines[-2 - len(trailers) : -2]
        last_chunk = lines[-3 - len(trailers)] if len(lines) > len(trailers) + 2 else b""
        if (
            lines[-2:] != [b"", b""]
            or _LAST_CHUNK.fullmatch(last_chunk) is None
            or any(_FORBIDDEN.search(line) or line[:1] in (b" ", b"\t") for line in fields)
        ):
            raise self._fail("bare LF or folded line in the trailers")
        return MessageEnd(
            b"".join(
                b"%b: %b\r\n" % (name, value)
                for name, value in trailers
                if name.lower() not in _NOT_IN_TRAILERS and b"_" not in name
            )
        )

    def _fail(self, detail: str) -> ProxyError:
        return self._error(detail)


_LAST_CHUNK = re.compile(rb"0+[ \t]*(?:;[^\r\n]*)?")
