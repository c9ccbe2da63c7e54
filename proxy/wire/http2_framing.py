"""From bytes to frames: the preface, and whole field sections (RFC 9113, 3.4, 4 and 6.10)."""

from collections.abc import Iterator

from proxy.wire import http2_frames as frames
from proxy.wire.http2_events import Http2Error
from proxy.wire.http2_frames import ErrorCode

Frame = tuple[int, int, int, bytes]
"""Type, flags, stream and payload. One of HEADERS holds a whole field section, without padding."""

_MOST_CONTINUATIONS = 16
_LARGEST = frames.DEFAULT_FRAME_SIZE
_SIZES = {frames.PRIORITY: 5, frames.RST_STREAM: 4, frames.PING: 8, frames.WINDOW_UPDATE: 4}
_OF_CONNECTION = frozenset((frames.SETTINGS, frames.PING, frames.GOAWAY))
_OF_STREAM = frozenset((frames.PRIORITY, frames.RST_STREAM))


class FrameReader:
    """Reads what a client sends. Holds at most one unfinished frame, and one unfinished section."""

    __slots__ = ("_begun", "_buffer", "_longest", "_prefaced", "_section")

    def __init__(self, longest: int) -> None:
        """Begin.

        Args:
            longest: Bytes that a field section may have as it is sent.
        """
        self._longest = longest
        self._buffer = b""
        self._prefaced = False
        self._begun = False  # the client's first SETTINGS has come
        self._section: tuple[int, int, list[bytes]] | None = None  # stream, flags, pieces

    @property
    def midway(self) -> bool:
        """True while the client is in the middle of saying something, or has yet to begin."""
        return bool(self._buffer) or self._section is not None or not self._begun

    def receive(self, data: bytes) -> Iterator[Frame]:
        """Take bytes; yield the frames that are whole. To be run to its end.

        Raises:
            Http2Error: The connection cannot go on.
        """
        buffer = self._buffer + data if self._buffer else data
        position = 0 if self._prefaced else self._preface(buffer)
        size = len(buffer)
        while size - position >= frames.HEADER_SIZE and self._prefaced:
            length = int.from_bytes(buffer[position : position + 3])
            if length > _LARGEST:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "frame too large")
            begin = position + frames.HEADER_SIZE
            end = begin + length
            if end > size:
                break
            stream = int.from_bytes(buffer[position + 5 : begin]) & frames.HIGHEST_STREAM
            kind, flags = buffer[position + 3 : position + 5]
            position = end
            payload = buffer[begin:end]
            if kind <= frames.HEADERS and self._section is None and self._begun:
                if kind == frames.HEADERS:
                    payload = _section_of(flags, payload)
                    if not flags & frames.END_HEADERS:
                        self._section = (stream, flags, [payload])
                        continue
                yield kind, flags, stream, payload
            else:
                yield from self._other(kind, flags, stream, payload)
        self._buffer = buffer[position:] if position else buffer

    def _preface(self, buffer: bytes) -> int:
        """Check the preface as far as it has come; return its length once it is whole."""
        size = len(frames.PREFACE)
        if buffer[:size] != frames.PREFACE[: len(buffer)]:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "no connection preface")
        if len(buffer) < size:
            return 0
        self._prefaced = True
        return size

    def _other(self, kind: int, flags: int, stream: int, payload: bytes) -> Iterator[Frame]:
        section = self._section
        if kind != frames.CONTINUATION:
            if section is not None:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a field section was interrupted")
            if not self._begun:
                if kind != frames.SETTINGS or flags & frames.ACK:
                    raise Http2Error(ErrorCode.PROTOCOL_ERROR, "no SETTINGS after the preface")
                self._begun = True
            _check(kind, stream, payload)
            yield kind, flags, stream, payload
            return
        if section is None or section[0] != stream:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing")
        pieces = section[2]
        pieces.append(payload)
        if len(pieces) > _MOST_CONTINUATIONS or sum(map(len, pieces)) > self._longest:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "field section without end")
        if flags & frames.END_HEADERS:
            self._section = None
            yield frames.HEADERS, section[1], stream, b"".join(pieces)


def _check(kind: int, stream: int, payload: bytes) -> None:
    """Check what is the same for every frame of a type (RFC 9113, 6).

    A wrong size of PRIORITY would be an error of its stream alone, for which there is no need.
    """
    if len(payload) != _SIZES.get(kind, len(payload)):
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "frame of a wrong size")
    if kind in _OF_CONNECTION if stream else kind in _OF_STREAM:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "frame on the wrong stream")


def unpadded(flags: int, payload: bytes) -> bytes:
    """Return a payload without its padding (RFC 9113, 6.1).

    Raises:
        Http2Error: The padding is longer than what it pads.
    """
    if not flags & frames.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def _section_of(flags: int, payload: bytes) -> bytes:
    payload = unpadded(flags, payload)
    if not flags & frames.HAS_PRIORITY:
        return payload
    if len(payload) < 5:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "HEADERS cut short")
    return payload[5:]
