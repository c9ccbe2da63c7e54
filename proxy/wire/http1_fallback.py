"""The other half of HTTP/1.1: heads outside the fast grammar, read by h11 behind a guard.

h11 is more lenient than a hop may be: it takes a bare LF for a line's end, folded lines, most
control bytes, and a Content-Length said twice. So the guard refuses first what must never cross a
hop, and takes out the lines that frame the body, which h11 would mend. What h11 then accepts is
written out afresh, one field a line, and goes with those lines to the same interpretation as every
other head: nothing is forwarded as it came, and nothing is interpreted twice.

The guard also bounds h11's time: white space before a vertical tab costs its field expression the
square of the white space's length (2.6 s for 31 KB), and after the guard no such byte is left.
"""

import re

import h11

from proxy.errors import BadRequestError, BadResponseError
from proxy.message.authority import split_authority
from proxy.message.edit import either_case
from proxy.message.head import RequestHead, ResponseHead
from proxy.wire.http1_grammar import interpret_request, interpret_response

# Lines that end in CRLF, hold no control byte and are not folded (the next one does not begin with
# white space). An answer may hold the harmless ones of these bytes: it comes from a server of our
# own side, and RFC 9110, 5.5 lets a recipient keep them.
_REQUEST_LINES = re.compile(rb"(?:[\t\x20-\x7e\x80-\xff]++\r\n(?![ \t]))*+\r\n")
_ANSWER_LINES = re.compile(rb"(?:[^\x00\n\x0b\x0c\r]++\r\n(?![ \t]))*+\r\n")
_FRAMING = re.compile(  # from the LF before to the CR at the end
    rf"\n(?:{either_case('content-length')}|{either_case('transfer-encoding')}):[^\n]*".encode()
)
# Methods are case-sensitive, and no registered one has a small letter. Some servers raise `post` to
# POST, which a route for POST never saw.
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]{1,32}")
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?#]*)([^#]*)")
_VERSIONS = {b"1.1": "HTTP/1.1", b"1.0": "HTTP/1.0"}
# Said before an answer is read, so that h11 takes a 101: whether we asked for one is known above.
_ANY_REQUEST = h11.Request(
    method="GET",
    target="/",
    headers=[("Host", "upstream"), ("Connection", "upgrade"), ("Upgrade", "websocket")],
)


def read_request(raw: bytes) -> RequestHead:
    """Read a complete request head that the fast grammar did not cover.

    Raises:
        BadRequestError: It is not HTTP/1.x, or no hop may forward it.
    """
    if _REQUEST_LINES.fullmatch(raw) is None:
        raise BadRequestError("bare CR or LF, a control byte or a folded line in the head")
    machine = h11.Connection(h11.SERVER, max_incomplete_event_size=len(raw) + 1)
    try:
        machine.receive_data(_FRAMING.sub(b"", raw))
        event = machine.next_event()
    except h11.RemoteProtocolError:  # its text repeats the line, which may hold a secret
        raise BadRequestError("malformed request line or field, or not one Host") from None
    if not isinstance(event, h11.Request):
        raise BadRequestError("not a whole head")
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
    framing = b"".join(_FRAMING.findall(raw))
    return interpret_request(method, target, version, b"%b\n%b\r\n" % (framing, block), 1)


def _origin_form(
    method: str, target: str, fields: list[tuple[bytes, bytes]]
) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Turn absolute-form into origin-form; its authority takes Host's place (RFC 9112, 3.2.2)."""
    if method == "CONNECT":
        return "/", fields  # authority-form; the method is refused, whatever it asks for
    if "#" in target:
        raise BadRequestError("fragment in the target")
    if target.startswith("/") or target == "*":
        return target, fields
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not absolute[1]:
        raise BadRequestError("malformed target")
    others = []
    for name, value in fields:
        if name.lower() == b"host":
            split_authority(value.decode("latin-1"))  # ignored, yet not if it is malformed
        else:
            others.append((name, value))
    fields = [(b"Host", absolute[1].encode("ascii")), *others]
    path = absolute[2]
    if not path and method == "OPTIONS":
        return "*", fields  # RFC 9112, 3.2.4
    return (path if path.startswith("/") else "/" + path), fields


def read_response(raw: bytes) -> ResponseHead:
    """Read a complete response head that the fast grammar did not cover.

    Raises:
        BadResponseError: It is not HTTP/1.x, or no hop may forward it.
    """
    if _ANSWER_LINES.fullmatch(raw) is None:
        raise BadResponseError("bare CR, LF or NUL, or a folded line, in the answer's head")
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=len(raw) + 1)
    machine.send(_ANY_REQUEST)
    machine.send(h11.EndOfMessage())
    try:
        machine.receive_data(_FRAMING.sub(b"", raw))
        event = machine.next_event()
    except h11.RemoteProtocolError:
        raise BadResponseError("malformed status line or field in the answer") from None
    if not isinstance(event, h11.Response | h11.InformationalResponse):
        raise BadResponseError("not a whole head in the answer")
    if event.http_version not in _VERSIONS:
        raise BadResponseError("answer in an unknown HTTP version")
    head = ResponseHead(event.status_code, event.reason.decode("latin-1"))
    head.keep_alive = event.http_version == b"1.1"
    block = b"".join(b"%b: %b\r\n" % field for field in event.headers.raw_items())
    framing = b"".join(_FRAMING.findall(raw))
    written = b"%b\n%b\r\n" % (framing, block)
    interpret_response(head, written, 1, http10=event.http_version == b"1.0")
    return head
