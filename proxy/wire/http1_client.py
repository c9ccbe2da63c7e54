"""The client's side of an HTTP/1.1 connection to an upstream: one answer after the other.

`send` makes a request's head, `receive` takes bytes, `next_event` tells what the upstream said.
The usual answer, a head and its whole body in one read, is read by `receive_whole` in one step.

An answer's body goes LENGTH, CHUNKED or CLOSE → DONE (RFC 9112, 6.3). DONE with bytes left over, or
an answer that forbids it, means that the connection must not be used again.
"""

from enum import Enum

from proxy.errors import BadResponseError
from proxy.message.head import ResponseHead
from proxy.wire.events import END, MessageEnd
from proxy.wire.http1_body import ChunkedBody
from proxy.wire.http1_fallback import read_response
from proxy.wire.http1_grammar import match_response

# An upstream repeats its heads within a second (Date); this many distinct ones are remembered.
_MEMO_ENTRIES = 8
_MEMO_BYTES = 2048
_MAX_INTERIM = 16  # 1xx answers before the final one


class Reading(Enum):
    """Where an answer is."""

    HEAD = "head"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    DONE = "done"
    SWITCHED = "switched"


_HEAD, _LENGTH, _CHUNKED, _CLOSE, _DONE, _SWITCHED = Reading
Event = ResponseHead | bytes | MessageEnd | None


class Http1Client:
    """See the module's docstring.

    Attributes:
        reading: Where the answer is.
        reusable: True once an answer is whole and the connection may carry another request.
    """

    __slots__ = (
        "_buffer",
        "_chunks",
        "_ended",
        "_head_request",
        "_interim",
        "_left",
        "_limit",
        "_memo",
        "_persistent",
        "_scanned",
        "_upgrade",
        "reading",
    )

    def __init__(self, head_size: int = 64 * 1024) -> None:
        """Take the most bytes an answer's head may have (nginx: 4 or 8 KB, HAProxy: 16 KB)."""
        self._limit = head_size
        self._memo: dict[bytes, ResponseHead] = {}
        self._buffer = b""
        self._scanned = 0
        self._left = 0
        self._chunks: ChunkedBody | None = None
        self._ended: MessageEnd | None = None
        self._head_request = False
        self._upgrade = False
        self._interim = 0
        self._persistent = True
        self.reading = _DONE

    def expect(self, method: str, *, upgrade: bool = False) -> None:
        """Make ready for the answer to a request with this method."""
        self._head_request = method == "HEAD"
        self._upgrade = upgrade
        self._interim = 0
        self.reading = _HEAD

    @property
    def reusable(self) -> bool:
        """True when another request may follow on this connection."""
        return self.reading is _DONE and self._persistent and not self._buffer

    @property
    def began(self) -> bool:
        """True when any byte of an answer has come."""
        return self.reading is not _HEAD or bool(self._buffer) or self._interim > 0

    def receive_whole(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """Read `data` if it is one whole answer and nothing else; else None, and nothing changed.

        Raises:
            BadResponseError: As `next_event`.
        """
        if self.reading is not _HEAD or self._buffer:
            return None
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return None
        raw = data[:end]
        head = self._memo.get(raw)
        if head is None:
            head = self._read_head(raw)
        if (
            head.content_length != len(data) - end
            or head.status < 200
            or self._head_request
            or head.status in (204, 304)
        ):
            return None
        self._persistent = head.keep_alive
        self.reading = _DONE
        return head, data[end:]

    def receive(self, data: bytes) -> None:
        """Take bytes from the upstream."""
        self._buffer = self._buffer + data if self._buffer else data

    def next_event(self) -> Event:
        """Return the next thing the upstream said, or None when more bytes are needed.

        Raises:
            BadResponseError: The answer breaks HTTP; the connection must be closed.
        """
        reading = self.reading
        if reading is _LENGTH:
            return self._next_piece()
        if reading is _CHUNKED:
            return self._next_chunks()
        if reading is _HEAD:
            return self._next_head() if self._buffer else None
        if reading in (_CLOSE, _SWITCHED):
            data, self._buffer = self._buffer, b""
            return data or None
        return self._end_early()

    def _end_early(self) -> MessageEnd | None:
        """Tell the end of an answer without a body, once."""
        end, self._ended = self._ended, None
        return end

    def receive_eof(self) -> MessageEnd | None:
        """The upstream closed. Return the end of an answer that this delimits.

        Raises:
            BadResponseError: It closed in the middle of an answer, or before one.
        """
        if self.reading is _CLOSE:
            self.reading = _DONE
            self._persistent = False
            return END
        if self.reading is _DONE:
            return None
        if self.reading is _HEAD and not self.began:
            raise BadResponseError("closed before an answer")
        raise BadResponseError("closed in the middle of an answer")

    def _next_head(self) -> ResponseHead | None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._scanned)
        if end < 0:
            self._check_unfinished(buffer)
            self._scanned = max(0, len(buffer) - 3)
            return None
        self._scanned = 0
        raw, self._buffer = buffer[: end + 4], buffer[end + 4 :]
        head = self._memo.get(raw) or self._read_head(raw)
        if head.status < 200:
            return self._take_interim(head)
        self._persistent = head.keep_alive
        if self._head_request or head.status in (204, 304):
            if head.status == 204 and (head.content_length or head.chunked):
                self._persistent = False  # a body that must not be may yet come
            self._finish(END)
        elif head.chunked:
            self._chunks = ChunkedBody(BadResponseError)
            self.reading = _CHUNKED
        elif head.content_length is None:
            self.reading = _CLOSE
            self._persistent = False
        elif head.content_length:
            self._left = head.content_length
            self.reading = _LENGTH
        else:
            self._finish(END)
        return head

    def _take_interim(self, head: ResponseHead) -> ResponseHead:
        if head.status == 101:
            if not self._upgrade or head.upgrade != "websocket":
                raise BadResponseError("101 to a request that did not ask for that protocol")
            self.reading = _SWITCHED
            self._persistent = False
            return head
        self._interim += 1
        if self._interim > _MAX_INTERIM:
            raise BadResponseError("too many 1xx answers")
        return head

    def _finish(self, end: MessageEnd) -> None:
        self.reading = _DONE
        self._ended = end

    def _read_head(self, raw: bytes) -> ResponseHead:
        if len(raw) > self._limit:
            raise BadResponseError("the answer's head is too large")
        head = match_response(raw) or read_response(raw)
        if len(raw) <= _MEMO_BYTES:
            if len(self._memo) >= _MEMO_ENTRIES:
                self._memo.clear()
            self._memo[raw] = head
        return head

    def _check_unfinished(self, buffer: bytes) -> None:
        if len(buffer) > self._limit:
            raise BadResponseError("the answer's head is too large")
        if buffer[:5] != b"HTTP/"[: len(buffer)]:
            raise BadResponseError("the answer is not HTTP/1.1")
        begin = self._scanned
        if buffer.count(b"\n", begin) != buffer.count(b"\r\n", max(0, begin - 1)):
            raise BadResponseError("line that ends in a bare LF")

    def _next_piece(self) -> bytes | None:
        buffer = self._buffer
        if not buffer:
            return None
        if len(buffer) <= self._left:
            piece, self._buffer = buffer, b""
        else:
            piece, self._buffer = buffer[: self._left], buffer[self._left :]
        self._left -= len(piece)
        if not self._left:
            self._finish(END)
        return piece

    def _next_chunks(self) -> bytes | MessageEnd | None:
        if self._chunks is None or not self._buffer:
            return None
        data, self._buffer = self._buffer, b""
        body, end = self._chunks.receive(data)
        if end is None:
            return body or None
        self._buffer = self._chunks.rest
        self._chunks = None
        self._finish(end)
        return body or self._end_early()
