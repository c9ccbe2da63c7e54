"""The two heads of an exchange, in a form that does not tell which HTTP version they came by.

A head is made once and never changed afterwards: a connection remembers heads by their raw bytes
and hands out the same object for the same bytes. The one slot that may be filled later is
`prepared`, where the room with sockets keeps what it derived from a head for a route, so that a
repeated head costs a look-up and no work.
"""

from typing import NamedTuple


class HeadLimits(NamedTuple):
    """Bounds on a request's head: bytes in all, fields, bytes of its target.

    nginx: 32 KB in four buffers, 8 KB a line, 1000 fields; HAProxy: 16 KB, 101 fields.
    """

    size: int = 32 * 1024
    fields: int = 100
    target: int = 8 * 1024


class RequestHead:
    """A request's head: what was asked, and the fields to forward.

    Attributes:
        method: As sent; methods are case-sensitive (RFC 9110, 9.1).
        target: Origin-form (path and query) exactly as sent, or "*" for OPTIONS.
        path: The normalised path that routes are matched on (see `message.target`).
        host: Lower-case host without port, for the choice of the site.
        authority: The Host field (or :authority) as sent, for forwarding and redirects.
        version: "HTTP/1.1", "HTTP/1.0" or "HTTP/2.0": for the log and for framing rules only.
        block: The fields to forward, as a field block, with Host, framing, hop-by-hop,
            Connection-named, forwarding and underscore fields already cut out.
        forwarding: The forwarding fields that were cut out (`hop_by_hop.FORWARDING`), as a field
            block; believed and passed on only from trusted peers.
        content_length: Body length in bytes, or None where there is no body or it is not known.
        chunked: True when a body follows whose length is not known.
        keep_alive: True when the client's connection may serve another request.
        expect_continue: True when the client waits for 100 (Continue).
        upgrade: The protocol asked for in lower case ("websocket"), or "".
        te_trailers: True when the client said that it takes trailers.
        prepared: See the module's docstring.
    """

    __slots__ = (
        "authority",
        "block",
        "chunked",
        "content_length",
        "expect_continue",
        "forwarding",
        "host",
        "keep_alive",
        "method",
        "path",
        "prepared",
        "target",
        "te_trailers",
        "upgrade",
        "version",
    )

    def __init__(self, method: str, target: str, version: str) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.path = target
        self.host = ""
        self.authority = ""
        self.block = b""
        self.forwarding = b""
        self.content_length: int | None = None
        self.chunked = False
        self.keep_alive = True
        self.expect_continue = False
        self.upgrade = ""
        self.te_trailers = False
        self.prepared: object = None

    @property
    def has_body(self) -> bool:
        """True when body bytes follow."""
        return self.chunked or bool(self.content_length)

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.authority}{self.target} {self.version}>"


class ResponseHead:
    """A response's head.

    Attributes:
        status: 100..999.
        reason: As sent; "" where there is none.
        block: The fields to forward, framing and hop-by-hop fields cut out.
        content_length: What the Content-Length field said (also for HEAD and 304), or None.
        chunked: True when the body came in chunks.
        keep_alive: True when the upstream's connection may serve another request.
        keep_alive_timeout: Seconds from `Keep-Alive: timeout=N`, or None.
        upgrade: The protocol switched to, with 101; else "".
        streaming: True when nothing of the body may be held back: text/event-stream,
            `X-Accel-Buffering: no` or `Cache-Control: no-transform`.
        dated: True when there is a Date field.
        prepared: As in `RequestHead`.
    """

    __slots__ = (
        "block",
        "chunked",
        "content_length",
        "dated",
        "keep_alive",
        "keep_alive_timeout",
        "prepared",
        "reason",
        "status",
        "streaming",
        "upgrade",
    )

    def __init__(self, status: int, reason: str, block: bytes = b"") -> None:
        self.status = status
        self.reason = reason
        self.block = block
        self.content_length: int | None = None
        self.chunked = False
        self.keep_alive = True
        self.keep_alive_timeout: float | None = None
        self.upgrade = ""
        self.streaming = False
        self.dated = False
        self.prepared: object = None

    def with_block(self, block: bytes) -> "ResponseHead":
        """Return a head that differs in its fields alone, with nothing prepared."""
        head = ResponseHead(self.status, self.reason, block)
        head.content_length = self.content_length
        head.chunked = self.chunked
        head.keep_alive = self.keep_alive
        head.keep_alive_timeout = self.keep_alive_timeout
        head.upgrade = self.upgrade
        head.streaming = self.streaming
        head.dated = self.dated
        return head

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} {self.reason}>"
