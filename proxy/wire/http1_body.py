"""Chunked bodies (RFC 9112, 7.1), read as they come and framed afresh for whoever is next.

Strategy. At the border of two chunks one expression reads the usual `CRLF SIZE CRLF`. What it does
not match (a border that has not come whole, an extension, white space after the size) is looked at
line by line, with bounds on all that is no data. Nothing of a border is forwarded: extensions are
for one hop only, and sizes are written anew.
"""

import re

from proxy.errors import BadRequestError, BadResponseError
from proxy.message.hop_by_hop import forwardable_trailers
from proxy.wire.events import END, MessageEnd
from proxy.wire.http1_grammar import ANY_NAME, VALUE

_FIRST = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_NEXT = re.compile(rb"\r\n([0-9A-Fa-f]{1,8})\r\n")
# Sixteen digits are 64 bits; so nginx and HAProxy have it. White space after the size breaks the
# grammar, yet some servers pad sizes with it, and as nginx and h11 do we read over it.
_ODD = re.compile(rf"([0-9A-Fa-f]{{1,16}})[ \t]*+(?:;{VALUE}+)?\r\n".encode())
_ODD_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,16}+(?:[ \t;\r]|\Z)")
_TRAILERS = re.compile(rf"(?:{ANY_NAME}:{VALUE}+\r\n)++".encode())

_MAX_LINE = 4 * 1024  # bytes of a chunk's line, as in Go's net/http
_MAX_OVERHEAD = 16 * 1024  # bytes of extensions that no data makes up for, as in Go's net/http
_MAX_TRAILERS = 16 * 1024
_MAX_TRAILER_FIELDS = 100


class ChunkedBody:
    """Decodes one chunked body. After its end, `rest` holds the bytes that follow.

    Never holds more than one unfinished line, or the trailers.
    """

    __slots__ = ("_border", "_buffer", "_error", "_in_trailers", "_left", "_overhead", "rest")

    def __init__(self, error: type[BadRequestError | BadResponseError]) -> None:
        self._error = error
        self._buffer = b""
        self._left = 0
        self._border = _FIRST
        self._overhead = 0
        self._in_trailers = False
        self.rest = b""

    def receive(self, data: bytes) -> tuple[bytes, MessageEnd | None]:
        """Feed bytes; return the body's bytes among them, and the end if it came.

        Raises:
            ProxyError: Of the class given at the start: the chunks are malformed.
        """
        if self._left > len(data):
            self._left -= len(data)
            return data, None
        buffer = self._buffer + data if self._buffer else data
        self._buffer = b""
        if self._in_trailers:
            return b"", self._read_trailers(buffer)
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
                border = self._odd_border(buffer, position)
                if border is None:
                    self._buffer = buffer[position:]
                    return b"".join(pieces), None
            self._left = int(border[1], 16)
            position = border.end()
            if not self._left:
                self._in_trailers = True
                return b"".join(pieces), self._read_trailers(buffer[position:])

    def _odd_border(self, buffer: bytes, position: int) -> re.Match[bytes] | None:
        """Read a border that is not plain; None when it has not come whole."""
        if self._border is _NEXT:
            mark = buffer[position : position + 2]
            if mark != b"\r\n"[: len(mark)]:
                raise self._error("chunk longer than it said")
            position += 2
        end = buffer.find(b"\n", position, position + _MAX_LINE) + 1
        if not end:
            if len(buffer) - position >= _MAX_LINE:
                raise self._error("chunk extension too long")
            if _ODD_BEGUN.match(buffer, position) is None:
                raise self._error("malformed chunk")
            return None
        border = _ODD.fullmatch(buffer, position, end)
        if border is None:
            raise self._error("malformed chunk")
        # As much beside the data as a chunk of sixteen bytes may have costs nothing; endless
        # extensions around tiny chunks do (CVE-2023-39326).
        overhead = self._overhead + (end - position) - 16 - 2 * int(border[1], 16)
        self._overhead = max(0, overhead)
        if overhead > _MAX_OVERHEAD:
            raise self._error("too many chunk extensions")
        return border

    def _read_trailers(self, buffer: bytes) -> MessageEnd | None:
        """Read what follows the last chunk; None when it has not come whole."""
        if buffer[:2] == b"\r\n":
            self.rest = buffer[2:]
            return END
        end = buffer.find(b"\r\n\r\n") + 2
        if end > _MAX_TRAILERS or (end < 2 and len(buffer) > _MAX_TRAILERS):
            raise self._error("trailers too large")
        if end < 2:
            if buffer.count(b"\n") != buffer.count(b"\r\n"):
                raise self._error("bare LF in the trailers")
            self._buffer = buffer
            return None
        block = buffer[:end]
        if _TRAILERS.fullmatch(block) is None:
            raise self._error("malformed trailers")
        if block.count(b"\n") > _MAX_TRAILER_FIELDS:
            raise self._error("too many trailers")
        self.rest = buffer[end + 2 :]
        return MessageEnd(forwardable_trailers(block))


def chunk(data: bytes) -> bytes:
    """Frame a piece of a body as one chunk (RFC 9112, 7.1); `data` must not be empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: bytes) -> bytes:
    """Return the last chunk with its trailers."""
    return b"0\r\n%b\r\n" % trailers
