"""Chunked bodies: plain chunks read here, everything else about them handed to h11.

Strategy. A body of plain chunks (`SIZE CRLF data CRLF`, and `0 CRLF CRLF` at the end) is by far
the usual one. At the border of a chunk where anything else stands (an extension, trailers, a size
written oddly) the rest of the body goes to `OddChunks`. So this half, too, may only say yes.
"""

import re

from proxy.errors import BadRequestError, BadResponseError
from proxy.wire.events import END, MessageEnd
from proxy.wire.http1_fallback import OddChunks

_FIRST = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_NEXT = re.compile(rb"\r\n([0-9A-Fa-f]{1,8})\r\n")
_LONGEST = 12  # CRLF, eight digits, CRLF


class ChunkedBody:
    """Decodes one chunked body. After its end, `rest` holds the bytes that follow."""

    __slots__ = ("_border", "_buffer", "_error", "_left", "_odd", "rest")

    def __init__(self, error: type[BadRequestError | BadResponseError]) -> None:
        self._error = error
        self._buffer = b""
        self._left = 0
        self._border = _FIRST
        self._odd: OddChunks | None = None
        self.rest = b""

    def receive(self, data: bytes) -> tuple[bytes, MessageEnd | None]:
        """Feed bytes; return the body's bytes among them, and the end if it came.

        Raises:
            ProxyError: Of the class given at the start: the chunks are malformed.
        """
        if self._odd is not None:
            return self._receive_odd(self._odd, data)
        if self._left > len(data):
            self._left -= len(data)
            return data, None
        buffer = self._buffer + data if self._buffer else data
        self._buffer = b""
        pieces: list[bytes] = []
        position = 0
        while True:
            if self._left:
                piece = buffer[position : position + self._left]
                pieces.append(piece)
                position += len(piece)
                self._left -= len(piece)
                if self._left:
                    return b"".join(pieces), None
                self._border = _NEXT
            border = self._border.match(buffer, position)
            if border is None:
                return self._border_unknown(buffer, position, pieces)
            self._left = int(border[1], 16)
            if not self._left:
                return self._last_chunk(buffer, border, pieces)
            position = border.end()

    def _border_unknown(
        self, buffer: bytes, position: int, pieces: list[bytes]
    ) -> tuple[bytes, MessageEnd | None]:
        """Wait for the rest of a chunk's head, or hand over to h11."""
        rest = buffer[position:]
        if len(rest) < _LONGEST and b"\n" not in rest[2:] and rest[:1] != b"\n":
            self._buffer = rest
            return b"".join(pieces), None
        return self._hand_over(rest, pieces)

    def _last_chunk(
        self, buffer: bytes, border: re.Match[bytes], pieces: list[bytes]
    ) -> tuple[bytes, MessageEnd | None]:
        after = buffer[border.end() : border.end() + 2]
        if after == b"\r\n":
            self.rest = buffer[border.end() + 2 :]
            return b"".join(pieces), END
        rest = buffer[border.start() :]
        if after in (b"", b"\r"):
            self._buffer = rest
            return b"".join(pieces), None
        return self._hand_over(rest, pieces)

    def _hand_over(self, rest: bytes, pieces: list[bytes]) -> tuple[bytes, MessageEnd | None]:
        if self._border is _NEXT:  # the CRLF that ends the chunk before is ours to read
            if rest[:2] != b"\r\n":
                raise self._error("chunk longer than it said")
            rest = rest[2:]
        self._odd = OddChunks(self._error)
        body, end = self._receive_odd(self._odd, rest)
        return b"".join((*pieces, body)), end

    def _receive_odd(self, odd: OddChunks, data: bytes) -> tuple[bytes, MessageEnd | None]:
        body, end = odd.receive(data)
        if end is not None:
            self.rest = odd.rest
        return body, end


def chunk(data: bytes) -> bytes:
    """Frame a piece of a body as one chunk (RFC 9112, 7.1); `data` must not be empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: bytes) -> bytes:
    """Return the last chunk with its trailers."""
    return b"0\r\n%b\r\n" % trailers
