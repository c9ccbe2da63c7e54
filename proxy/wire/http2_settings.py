"""The settings of an HTTP/2 connection (RFC 9113, 6.5): ours, and what the client's mean to us."""

from proxy.message.head import HeadLimits
from proxy.wire import http2_frames as frames
from proxy.wire.http2_events import Http2Error
from proxy.wire.http2_frames import ErrorCode

MOST_STREAMS = 128
"""Streams a client may have open at once; nginx's figure."""

_MOST_SETTINGS = 32  # in one frame


def own_settings(limits: HeadLimits) -> bytes:
    """Return the SETTINGS frame with ours."""
    return frames.settings(
        {
            frames.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
            frames.MAX_HEADER_LIST_SIZE: limits.size,
            frames.ENABLE_CONNECT_PROTOCOL: 1,  # WebSockets (RFC 8441, 3)
            frames.NO_RFC7540_PRIORITIES: 1,
        }
    )


class ClientSettings:
    """What the client has set.

    Attributes:
        initial_window: Bytes that may be sent on a new stream.
        shrink_table: True when our next field section must begin with the table's new size.
    """

    __slots__ = ("initial_window", "shrink_table")

    def __init__(self) -> None:
        self.initial_window = frames.DEFAULT_WINDOW
        self.shrink_table = False

    def take(self, payload: bytes) -> int:
        """Take a frame's settings; return by how much the windows of open streams grow.

        Raises:
            Http2Error: One has a value that it must not have.
        """
        if len(payload) % 6:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
        if len(payload) > 6 * _MOST_SETTINGS:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many settings")
        before = self.initial_window
        for setting, value in frames.read_settings(payload):
            self._take(setting, value)
        return self.initial_window - before

    def _take(self, setting: int, value: int) -> None:
        if setting == frames.INITIAL_WINDOW_SIZE:
            if value > frames.HIGHEST_WINDOW:
                raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "initial window too large")
            self.initial_window = value
        elif setting == frames.HEADER_TABLE_SIZE:
            # A table that we put nothing into may be of size 0 for good, but that must be said.
            self.shrink_table = True
        elif setting == frames.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME_SIZE <= value < 1 << 24:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "frame size out of range")
        elif setting == frames.ENABLE_PUSH and value > 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
