"""The server's side of an HTTP/1.1 connection: one request after the other.

Feed bytes with `receive`, ask `next_event` until it answers None (more bytes are needed) or
PAUSED (a further request waits until this one has been answered). The answer's bytes are made by
`begin`, `body` and `finish`; this machine decides framing and persistence, and nothing else does.

A request goes HEAD → (LENGTH | CHUNKED) → DONE, an answer IDLE → OPEN → IDLE; both must be over
before the next request is read. After an error, or an answer that ended before its request, the
machine is CLOSED and reads nothing more.
"""

from enum import Enum

from proxy.errors import BadRequestError
from proxy.message.head import HeadLimits, RequestHead, ResponseHead
from proxy.wire.events import END, PAUSED, MessageEnd, Paused
from proxy.wire.http1_body import ChunkedBody, chunk, last_chunk
from proxy.wire.http1_fallback import read_request
from proxy.wire.http1_grammar import match_request

# A client repeats its heads on a connection; so many distinct ones are remembered. The memory is
# the connection's own, so that a head with credentials lives no longer than what sent it.
_MEMO_ENTRIES = 8
_MEMO_BYTES = 4096  # a longer head is not remembered
_MAX_EMPTY_LINES = 4  # before a request line (RFC 9112, 2.2 asks for at least one)
_LINE_BESIDE_TARGET = 32 + 10  # the longest method, two spaces and the version


class Reading(Enum):
    """Where a request is."""

    HEAD = "head"
    LENGTH = "length"
    CHUNKED = "chunked"
    DONE = "done"
    CLOSED = "closed"


class Framing(Enum):
    """How an answer's body is delimited; IDLE while there is no answer (RFC 9112, 6.3)."""

    IDLE = "idle"
    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


_HEAD, _LENGTH, _CHUNKED, _DONE, _CLOSED = Reading
Event = RequestHead | bytes | MessageEnd | Paused | None


class Http1Server:
    """See the module's docstring.

    Attributes:
        keep_alive: False once the connection must end after this answer.
        reading: Where the request is.
        framing: Where the answer is.
    """

    __slots__ = (
        "_buffer",
        "_chunks",
        "_empty_lines",
        "_ended",
        "_left",
        "_limits",
        "_memo",
        "_owed",
        "_request",
        "_scanned",
        "_seen",
        "framing",
        "keep_alive",
        "reading",
    )

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._buffer = b""
        self._scanned = 0  # where the search for a head's end goes on
        self._empty_lines = 0  # counts while `_request` is None
        self._memo: dict[bytes, RequestHead] = {}
        self._seen: set[int] = set()
        self._request: RequestHead | None = None
        self._left = 0
        self._chunks: ChunkedBody | None = None
        self._ended: MessageEnd | None = None
        self._owed = 0
        self.reading = Reading.HEAD
        self.framing = Framing.IDLE
        self.keep_alive = True

    @property
    def buffered(self) -> int:
        """Bytes received and not yet told of."""
        return len(self._buffer)

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        self._buffer = self._buffer + data if self._buffer else data

    def next_event(self) -> Event:
        """Return the next thing the client said, None for "more bytes", or PAUSED.

        Raises:
            BadRequestError: The request cannot be read; the machine is CLOSED.
        """
        reading = self.reading
        try:
            if reading is _HEAD:
                return self._next_head() if self._buffer else None
            if reading is _LENGTH:
                return self._next_piece()
            if reading is _CHUNKED:
                return self._next_chunks()
        except BadRequestError:
            if reading is _HEAD:
                self._request = None  # the error's answer is none to the request before
            self.close()
            raise
        if reading is _CLOSED:
            self._buffer = b""
            return None
        return PAUSED if self._buffer else None

    def _next_head(self) -> RequestHead | None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._scanned)
        if end < 0:
            if buffer[:2] == b"\r\n":
                return self._skip_empty_line()
            self._check_unfinished(buffer)
            self._scanned = max(0, len(buffer) - 3)
            return None
        self._scanned = 0
        end += 4
        if end == len(buffer):
            raw, self._buffer = buffer, b""
        else:
            raw, self._buffer = buffer[:end], buffer[end:]
        head = self._memo.get(raw)
        if head is None:
            if raw[:2] == b"\r\n":
                self._buffer = raw + self._buffer
                return self._skip_empty_line()
            head = self._read_head(raw)
        self._request = head
        if not head.keep_alive:
            self.keep_alive = False
        if head.chunked:
            self._chunks = ChunkedBody(BadRequestError)
            self.reading = _CHUNKED
        elif head.content_length:
            self._left = head.content_length
            self.reading = _LENGTH
        else:
            self.reading = _DONE
        return head

    def _skip_empty_line(self) -> RequestHead | None:
        if self._request is not None:  # so that a head read costs no reset of the count
            self._request = None
            self._empty_lines = 0
        buffer = self._buffer
        begin = 0
        while buffer.startswith(b"\r\n", begin):
            begin += 2
            self._empty_lines += 1
            if self._empty_lines > _MAX_EMPTY_LINES:
                raise BadRequestError("empty lines in place of a request")
        self._buffer = buffer = buffer[begin:]
        self._scanned = 0
        return self._next_head() if buffer else None

    def _read_head(self, raw: bytes) -> RequestHead:
        self._check_size(raw)
        head = match_request(raw) or read_request(raw)
        if len(raw) <= _MEMO_BYTES:
            self._remember(raw, head)
        return head

    def _remember(self, raw: bytes, head: RequestHead) -> None:
        """Remember a head that comes for the second time.

        Where every head is another, remembering them would only push what is in use out of the
        processor's caches: that costs more than reading them does.
        """
        seen = self._seen
        key = hash(raw)
        if key not in seen:
            if len(seen) >= _MEMO_ENTRIES:
                seen.clear()
            seen.add(key)
            return
        if len(self._memo) >= _MEMO_ENTRIES:
            self._memo.clear()
        self._memo[raw] = head

    def _check_size(self, raw: bytes) -> None:
        limits = self._limits
        if (
            len(raw) <= limits.target
            and len(raw) <= limits.size
            and raw.count(b"\n") - 2 <= limits.fields
        ):
            return
        line = raw.find(b"\r\n")
        if raw.rfind(b" ", 0, line) - raw.find(b" ") - 1 > limits.target:
            raise BadRequestError("target too long", status=414)
        if len(raw) > limits.size:
            raise BadRequestError("head too large", status=431)
        if raw.count(b"\n") - 2 > limits.fields:
            raise BadRequestError("too many fields", status=431)

    def _check_unfinished(self, buffer: bytes) -> None:
        """Refuse what can no longer become a good head, so that nobody waits for its end.

        Looks only at the request line and at what came since the last time.
        """
        longest = self._limits.target + _LINE_BESIDE_TARGET
        line = buffer.find(b"\r\n", 0, longest + 2)
        if line < 0 and len(buffer) >= longest + 2:
            raise BadRequestError("target too long", status=414)
        if len(buffer) > self._limits.size:
            raise BadRequestError("head too large", status=431)
        begin = self._scanned
        if buffer.count(b"\n", begin) != buffer.count(b"\r\n", max(0, begin - 1)):
            raise BadRequestError("line that ends in a bare LF")
        if not b"!" <= buffer[:1] <= b"~" and buffer != b"\r":
            raise BadRequestError("not HTTP")
        if line >= 0 and not buffer.startswith(b" HTTP/", max(0, line - 9)):
            raise BadRequestError("malformed request line")  # HTTP/0.9 among them

    def _next_piece(self) -> bytes | MessageEnd | None:
        if not self._left:
            self.reading = _DONE
            return END
        buffer = self._buffer
        if not buffer:
            return None
        if len(buffer) <= self._left:
            piece, self._buffer = buffer, b""
        else:
            piece, self._buffer = buffer[: self._left], buffer[self._left :]
        self._left -= len(piece)
        return piece

    def _next_chunks(self) -> bytes | MessageEnd | None:
        end = self._ended
        if end is not None:
            self._ended = None
            self._chunks = None
            self.reading = _DONE
            return end
        if self._chunks is None or not self._buffer:
            return None
        data, self._buffer = self._buffer, b""
        body, self._ended = self._chunks.receive(data)
        if self._ended is not None:
            self._buffer = self._chunks.rest
            return body or self._next_chunks()
        return body or None

    def forget(self) -> None:
        """Let go of the heads that are remembered; for a connection that may idle for long."""
        self._memo.clear()
        self._seen.clear()

    def skip_body(self) -> bool:
        """Throw away what came of the request's body; say whether that was all of it."""
        try:
            while self.reading in (_LENGTH, _CHUNKED):
                if self.next_event() is None:
                    return False
        except BadRequestError:
            return False
        return self.reading is _DONE

    def interim(self, head: ResponseHead) -> bytes:
        """Return a 1xx answer's bytes; b"" for HTTP/1.0, which knows none (RFC 9110, 15.2)."""
        if self._request is None or self._request.version != "HTTP/1.1":
            return b""
        return _status_line(head) + head.block + b"\r\n"

    def begin(self, head: ResponseHead, fields: bytes) -> bytes:
        """Begin the answer: return its head's bytes.

        Args:
            head: What to say of status and length; its block is not used.
            fields: The fields to send, as a field block, edits done.
        """
        request = self._request
        if self.reading is not _DONE:  # the rest of the request would be read as the next one
            self.keep_alive = False
            if self.reading is _HEAD:  # an answer to half a head
                request = self._request = None
        status = head.status
        length = head.content_length
        framing_line = b""
        if status in (204, 304) or (request is not None and request.method == "HEAD"):
            self.framing = Framing.NONE
            if length is not None and status != 204:  # RFC 9110, 8.6
                framing_line = b"Content-Length: %d\r\n" % length
        elif length is not None:
            self.framing = Framing.LENGTH
            self._owed = length
            framing_line = b"Content-Length: %d\r\n" % length
        elif request is not None and request.version == "HTTP/1.1":
            self.framing = Framing.CHUNKED
            framing_line = b"Transfer-Encoding: chunked\r\n"
        else:
            self.framing = Framing.CLOSE
            self.keep_alive = False
        if not self.keep_alive:
            framing_line += b"Connection: close\r\n"
        elif request is not None and request.version == "HTTP/1.0":
            framing_line += b"Connection: keep-alive\r\n"
        return _status_line(head) + fields + framing_line + b"\r\n"

    def body(self, data: bytes) -> bytes:
        """Return the bytes that carry a piece of the answer's body; b"" where it has none."""
        framing = self.framing
        if framing is Framing.LENGTH:
            self._owed -= len(data)
            # Bytes beyond the length would be read as the next answer.
            return data if self._owed >= 0 else data[: max(0, self._owed + len(data))]
        if framing is Framing.CHUNKED:
            return chunk(data) if data else b""
        return data if framing is Framing.CLOSE else b""

    def finish(self, trailers: bytes = b"") -> bytes:
        """End the answer: return what is still to send, and make ready for the next request.

        An answer that was not begun, or owes bytes of its Content-Length, closes the connection:
        that is how the client sees that it was cut short.
        """
        framing = self.framing
        last = last_chunk(trailers) if framing is Framing.CHUNKED else b""
        if framing is Framing.IDLE or (framing is Framing.LENGTH and self._owed):
            self.keep_alive = False
        self.framing = Framing.IDLE
        if self.keep_alive and self.reading is _DONE:
            self.reading = _HEAD
        else:
            self.close()
        return last

    def finish_whole(self) -> None:
        """End an answer that went out in one piece, made by an earlier `begin` with this head."""
        if self.keep_alive and self.reading is _DONE:
            self.reading = _HEAD
        else:
            self.close()

    def take_rest(self) -> bytes:
        """Return what the client sent behind its request, after a switch of protocols."""
        rest, self._buffer = self._buffer, b""
        self.close()
        return rest

    def close(self) -> None:
        """Read nothing more."""
        self.reading = _CLOSED
        self.keep_alive = False
        self._buffer = b""
        self._chunks = None


def _status_line(head: ResponseHead) -> bytes:
    """Return the status line; always of our version (RFC 9112, 2.3)."""
    line = _STATUS_LINES.get((head.status, head.reason))
    if line is None:
        line = f"HTTP/1.1 {head.status} {head.reason}\r\n".encode("latin-1")
    return line


_STATUS_LINES = {
    (status, reason): f"HTTP/1.1 {status} {reason}\r\n".encode()
    for status, reason in ((200, "OK"), (302, "Found"), (304, "Not Modified"), (404, "Not Found"))
}
