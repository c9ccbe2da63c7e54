"""HTTP/2's frames (RFC 9113, 4 and 6): their numbers, and their bytes.

Reading them is the machine's work; what is written here is the same for either side.
"""

from enum import IntEnum
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client says first (RFC 9113, 3.4)."""

HEADER_SIZE = 9
DEFAULT_FRAME_SIZE = 16_384
DEFAULT_WINDOW = 65_535
HIGHEST_WINDOW = 2**31 - 1
HIGHEST_STREAM = 2**31 - 1

# Types (RFC 9113, 6).
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)

# Flags.
ACK = 0x1
END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

# Settings (RFC 9113, 6.5.2; RFC 8441, 3).
HEADER_TABLE_SIZE = 1
ENABLE_PUSH = 2
MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5
MAX_HEADER_LIST_SIZE = 6
ENABLE_CONNECT_PROTOCOL = 8
NO_RFC7540_PRIORITIES = 9  # RFC 9218, 2.1


class ErrorCode(IntEnum):
    """Why a stream or a connection ends (RFC 9113, 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


_HEADER = Struct(">HBBBL")  # the length's two high bytes, its low one, type, flags, stream
_pack_header = _HEADER.pack
_SETTING = Struct(">HL")
_pack_long = Struct(">L").pack
_pack_two_longs = Struct(">LL").pack


def frame_header(size: int, kind: int, flags: int, stream: int) -> bytes:
    """Return the nine bytes before a payload of `size`."""
    return _pack_header(size >> 8, size & 0xFF, kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a whole frame."""
    size = len(payload)
    return _pack_header(size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return what a SETTINGS frame holds, in its order."""
    return [(number, value) for number, value in _SETTING.iter_unpack(payload)]


SETTINGS_ACK = frame(SETTINGS, ACK, 0, b"")


def headers(stream: int, block: bytes, *, end: bool, frame_size: int = DEFAULT_FRAME_SIZE) -> bytes:
    """Return a field section as one HEADERS frame, and CONTINUATIONs if it is that long."""
    flags = END_STREAM if end else 0
    size = len(block)
    if size <= frame_size:
        return _pack_header(size >> 8, size & 0xFF, HEADERS, flags | END_HEADERS, stream) + block
    frames = [frame(HEADERS, flags, stream, block[:frame_size])]
    for begin in range(frame_size, size, frame_size):
        piece = block[begin : begin + frame_size]
        last = END_HEADERS if begin + frame_size >= size else 0
        frames.append(frame(CONTINUATION, last, stream, piece))
    return b"".join(frames)


def rst_stream(stream: int, code: int) -> bytes:
    """Return an RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, _pack_long(code))


def window_update(stream: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, _pack_long(increment))


def goaway(last_stream: int, code: int, debug: bytes = b"") -> bytes:
    """Return a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, _pack_two_longs(last_stream, code) + debug)
