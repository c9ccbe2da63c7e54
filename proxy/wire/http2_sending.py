"""The half of the HTTP/2 machine that speaks: answers' frames, windows, and the ends of streams."""

from proxy.wire import http2_frames as frames
from proxy.wire.http2_budget import Budgets
from proxy.wire.http2_frames import ErrorCode
from proxy.wire.http2_settings import ClientSettings
from proxy.wire.http2_streams import INTAKE_WINDOW, Intake, Stream

_FRAME_SIZE = frames.DEFAULT_FRAME_SIZE  # the most that is sent, whatever the client takes


class Http2Sending:
    """See the module's docstring; `Http2Server` is the other half.

    Attributes:
        streams: Those that are open, on one side at least.
        last_stream: The highest that a client has opened.
        window: Bytes that may still be sent, on all streams together.
    """

    __slots__ = (
        "_budgets",
        "_closing_at",
        "_intake",
        "_out",
        "_settings",
        "last_stream",
        "streams",
        "window",
    )

    def __init__(self, settings: bytes, now: float) -> None:
        """Begin; the first output is there at once.

        Args:
            settings: Our own, as a frame.
            now: Monotonic seconds.
        """
        self._budgets = Budgets(now)
        self._closing_at = frames.HIGHEST_STREAM  # no stream beyond this one is served
        self._intake = Intake()
        self._settings = ClientSettings()
        self.streams: dict[int, Stream] = {}
        self.last_stream = 0
        self.window = frames.DEFAULT_WINDOW
        grown = INTAKE_WINDOW - frames.DEFAULT_WINDOW
        self._out = [settings, frames.window_update(0, grown)]

    @property
    def choked(self) -> bool:
        """True while the client cannot send, because what it sent has not been taken."""
        return self._intake.choked

    def take_output(self) -> bytes:
        """Return what is to be sent beside answers, before them."""
        out = self._out
        if not out:
            return b""
        self._out = []
        return b"".join(out)

    def headers(self, number: int, section: bytes, *, end: bool) -> bytes:
        """Return the frames of a field section; b"" on a stream that is gone."""
        stream = self.streams.get(number)
        if stream is None or not stream.writing:
            return b""
        if self._settings.shrink_table:
            self._settings.shrink_table = False
            section = b"\x20" + section  # RFC 7541, 6.3
        made = frames.headers(number, section, end=end)
        return made + self._ended(stream) if end else made

    def room(self, stream: Stream) -> int:
        """Say how many bytes of a body one DATA frame may carry now."""
        return max(0, min(_FRAME_SIZE, self.window, stream.window))

    def data(self, stream: Stream, data: bytes | memoryview, *, end: bool) -> bytes:
        """Return a DATA frame; b"" on a stream that is gone.

        There must be room for it; an empty one needs none.
        """
        if not stream.writing:
            return b""
        size = len(data)
        self._budgets.sent(size)
        self.window -= size
        stream.window -= size
        flags = frames.END_STREAM if end else 0
        made = frames.frame_header(size, frames.DATA, flags, stream.number) + data
        return made + self._ended(stream) if end else made

    def _ended(self, stream: Stream) -> bytes:
        """Note that our side is over; ask the client to stop its own (RFC 9113, 8.1)."""
        self._budgets.answered()
        stream.writing = False
        if stream.reading:
            return self.reset(stream.number, ErrorCode.NO_ERROR)
        self._drop(stream.number)
        return b""

    def reset(self, number: int, code: ErrorCode) -> bytes:
        """End a stream at once; return the frame that says so, b"" if it is gone already."""
        return frames.rst_stream(number, code) if self._drop(number) else b""

    def pause(self, number: int) -> None:
        """Let the client send no more than its window still allows."""
        stream = self.streams.get(number)
        if stream is not None:
            stream.paused = True

    def resume(self, number: int) -> None:
        """Let it send again."""
        stream = self.streams.get(number)
        if stream is not None and stream.paused:
            stream.paused = False
            if stream.held:
                self._intake.release(stream)
                self._refill()
            increment = stream.refill()
            if increment:
                self._out.append(frames.window_update(number, increment))

    def goaway(self, code: ErrorCode, *, last: int | None = None, debug: str = "") -> bytes:
        """Return the frame that says that no streams beyond `last` will be served.

        Without `last` it is the one opened last; it never rises again. Running streams go on.
        """
        self._closing_at = min(self._closing_at, self.last_stream if last is None else last)
        return frames.goaway(self._closing_at, code, debug.encode("ascii", "replace"))

    def _drop(self, number: int) -> bool:
        """Forget a stream, if it is open; nothing is said on it any more."""
        stream = self.streams.pop(number, None)
        if stream is None:
            return False
        stream.reading = stream.writing = False
        if stream.held:
            self._intake.release(stream)
            self._refill()
        return True

    def _refill(self) -> None:
        increment = self._intake.refill()
        if increment:
            self._out.append(frames.window_update(0, increment))
