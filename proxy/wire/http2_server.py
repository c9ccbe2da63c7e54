"""The server's side of an HTTP/2 connection (RFC 9113): frames in, events out, and frames to send.

Feed bytes with `receive`, which returns what they said, in order; what the machine itself has to
say (acknowledgements, windows, resets) waits in `take_output`. Answers are made into frames by
`headers`, `data` and `reset`; how much may be sent of a body is asked of `room`.

An error on a stream ends that stream. An error of the connection is raised as `Http2Error`: after
it the machine is of no more use, and its client is told by `goaway`.
"""

from typing import ClassVar

from proxy.errors import BadRequestError
from proxy.message.head import HeadLimits
from proxy.wire import http2_frames as frames
from proxy.wire.http2_budget import Allowance, Budgets
from proxy.wire.http2_events import (
    BodyEnded,
    BodyReceived,
    ClientLeaves,
    Event,
    Http2Error,
    RequestBegan,
    RequestRefused,
    StreamLost,
    WindowGrew,
)
from proxy.wire.http2_frames import ErrorCode
from proxy.wire.http2_framing import FrameReader, unpadded
from proxy.wire.http2_heads import HeadReader
from proxy.wire.http2_request import MalformedError, read_trailers
from proxy.wire.http2_streams import Stream

MOST_STREAMS = 128
"""Streams a client may have open at once; nginx's figure."""

_CONNECTION_WINDOW = 1024 * 1024
_FRAME_SIZE = frames.DEFAULT_FRAME_SIZE  # the most that is taken, and that is sent


class Http2Server:
    """See the module's docstring.

    Attributes:
        streams: Those that are open, on one side at least.
        last_stream: The highest that a client has opened.
        window: Bytes that may still be sent, on all streams together.
    """

    __slots__ = (
        "_budgets",
        "_closing_at",
        "_events",
        "_frames",
        "_heads",
        "_initial_window",
        "_left",
        "_now",
        "_out",
        "_shrink_table",
        "last_stream",
        "streams",
        "window",
    )

    def __init__(self, limits: HeadLimits, now: float) -> None:
        """Begin; the first output is there at once."""
        self._heads = HeadReader(limits)
        self._frames = FrameReader()
        self._now = now
        self._closing_at = frames.HIGHEST_STREAM  # no stream beyond this one is served
        self._initial_window = frames.DEFAULT_WINDOW
        self._shrink_table = False
        self._left = _CONNECTION_WINDOW
        self._events: list[Event] = []
        self.streams: dict[int, Stream] = {}
        self.last_stream = 0
        self.window = frames.DEFAULT_WINDOW
        self._budgets = Budgets(now)
        own = {
            frames.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
            frames.MAX_HEADER_LIST_SIZE: limits.size,
            frames.NO_RFC7540_PRIORITIES: 1,
        }
        grown = _CONNECTION_WINDOW - frames.DEFAULT_WINDOW
        self._out = [frames.settings(own), frames.window_update(0, grown)]

    @property
    def midway(self) -> bool:
        """True while the client is in the middle of saying something, or has yet to begin."""
        return self._frames.midway

    def take_output(self) -> bytes:
        """Return what is to be sent beside answers, before them."""
        out = self._out
        if not out:
            return b""
        self._out = []
        return b"".join(out)

    # Reading.

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the client; return what they said.

        Raises:
            Http2Error: The connection must end. What was said before is lost with it.
        """
        self._now = now
        events = self._events = []
        for kind, flags, number, payload in self._frames.receive(data):
            taker = self._TAKERS.get(kind)
            if taker is not None:
                taker(self, flags, number, payload)
            else:  # unknown types are ignored (RFC 9113, 5.5), yet not for ever
                self._spend(self._budgets.idle_frames, "frames of unknown types")
        return events

    def _spend(self, allowance: Allowance, on: str) -> None:
        if not allowance.spend(self._now):
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, f"too many {on}")

    # Requests.

    def _take_section(self, flags: int, number: int, section: bytes) -> None:
        if not number % 2:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream that is no client's")
        stream = self.streams.get(number)
        ended = bool(flags & frames.END_STREAM)
        if stream is not None:
            self._take_trailers(stream, section, ended=ended)
        elif number <= self.last_stream or number > self._closing_at:
            # Trailers may cross with our reset. They must be decoded, for the sake of the table.
            self._heads.fields(section)
            self._spend(self._budgets.idle_frames, "HEADERS on closed streams")
        else:
            self._open(number, section, ended=ended)

    def _open(self, number: int, section: bytes, *, ended: bool) -> None:
        self.last_stream = number
        stream = Stream(number, self._initial_window)
        stream.reading = not ended
        self.streams[number] = stream
        if len(self.streams) > MOST_STREAMS:
            self._heads.fields(section)
            self._offend(number, ErrorCode.REFUSED_STREAM)
            return
        try:
            head = self._heads.request(section, ended=ended)
        except MalformedError:
            self._offend(number, ErrorCode.PROTOCOL_ERROR)
        except BadRequestError as error:
            self._events.append(RequestRefused(number, error))
        else:
            if not ended:
                stream.owed = head.content_length
            self._events.append(RequestBegan(number, head, ended))

    def _take_trailers(self, stream: Stream, section: bytes, *, ended: bool) -> None:
        fields = self._heads.fields(section)
        if not stream.reading:
            self._offend(stream.number, ErrorCode.STREAM_CLOSED)
            return
        if not ended or stream.switched:
            self._offend(stream.number, ErrorCode.PROTOCOL_ERROR)  # RFC 9113, 8.1
            return
        try:
            trailers = read_trailers(fields)
        except MalformedError:
            self._offend(stream.number, ErrorCode.PROTOCOL_ERROR)
        else:
            self._end_body(stream, trailers)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._left -= size
        if self._left < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the connection's window")
        # It is the streams' windows that bound what a client can make us hold.
        if self._left < _CONNECTION_WINDOW // 2:
            self._out.append(frames.window_update(0, _CONNECTION_WINDOW - self._left))
            self._left = _CONNECTION_WINDOW
        stream = self.streams.get(number)
        if stream is None:
            if number > self.last_stream or not number % 2:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "DATA on an idle stream")
            self._spend(self._budgets.idle_frames, "DATA on closed streams")
            return
        if not stream.reading:
            self._offend(number, ErrorCode.STREAM_CLOSED)
            return
        stream.left -= size
        if stream.left < 0:
            self._offend(number, ErrorCode.FLOW_CONTROL_ERROR)
            return
        payload = unpadded(flags, payload)
        ended = bool(flags & frames.END_STREAM)
        if payload:
            self._take_body(stream, payload)
        elif not ended:
            self._spend(self._budgets.empty_data, "DATA frames without data")
        if ended and stream.reading:
            self._end_body(stream, b"")

    def _take_body(self, stream: Stream, data: bytes) -> None:
        if stream.owed is not None:
            stream.owed -= len(data)
            if stream.owed < 0:
                self._offend(stream.number, ErrorCode.PROTOCOL_ERROR)  # RFC 9113, 8.1.1
                return
        self._events.append(BodyReceived(stream.number, data))
        increment = stream.refill()
        if increment:
            self._out.append(frames.window_update(stream.number, increment))

    def _end_body(self, stream: Stream, trailers: bytes) -> None:
        if stream.owed:
            self._offend(stream.number, ErrorCode.PROTOCOL_ERROR)
            return
        stream.reading = False
        self._events.append(BodyEnded(stream.number, trailers))
        self._drop_if_done(stream)

    # Other frames.

    def _take_priority(self, _flags: int, _number: int, _payload: bytes) -> None:
        self._spend(self._budgets.idle_frames, "PRIORITY frames")

    def _take_reset(self, _flags: int, number: int, payload: bytes) -> None:
        if number > self.last_stream:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "RST_STREAM of an idle stream")
        self._spend(self._budgets.resets, "resets")
        if self.streams.pop(number, None) is not None:
            self._events.append(StreamLost(number, int.from_bytes(payload)))

    def _take_settings(self, flags: int, _number: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if payload:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS in an acknowledgement")
            self._spend(self._budgets.settings, "acknowledgements")
            return
        if len(payload) % 6:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of a wrong size")
        self._spend(self._budgets.settings, "SETTINGS frames")
        for setting, value in frames.read_settings(payload):
            self._take_setting(setting, value)
        self._out.append(frames.SETTINGS_ACK)

    def _take_setting(self, setting: int, value: int) -> None:
        if setting == frames.INITIAL_WINDOW_SIZE:
            if value > frames.HIGHEST_WINDOW:
                raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "initial window too large")
            grown = value - self._initial_window
            self._initial_window = value
            for stream in self.streams.values():
                stream.window += grown
                if stream.window > frames.HIGHEST_WINDOW:
                    raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "window too large")
            if grown > 0:
                self._events.append(WindowGrew(0))
        elif setting == frames.HEADER_TABLE_SIZE:
            # A table that we put nothing into may be of size 0 for good, but that must be said.
            self._shrink_table = True
        elif setting == frames.MAX_FRAME_SIZE:
            if not _FRAME_SIZE <= value < 1 << 24:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "frame size out of range")
        elif setting == frames.ENABLE_PUSH and value > 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")

    def _take_push_promise(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    def _take_ping(self, flags: int, _number: int, payload: bytes) -> None:
        self._spend(self._budgets.pings, "PING frames")
        if not flags & frames.ACK:
            self._out.append(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _take_goaway(self, _flags: int, _number: int, payload: bytes) -> None:
        if len(payload) < 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY cut short")
        self._spend(self._budgets.settings, "GOAWAY frames")
        self._events.append(ClientLeaves(int.from_bytes(payload[4:8])))

    def _take_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        self._spend(self._budgets.window_updates, "WINDOW_UPDATE frames")
        increment = int.from_bytes(payload) & frames.HIGHEST_WINDOW
        if number:
            self._widen(number, increment)
            return
        if not increment:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
        self.window += increment
        if self.window > frames.HIGHEST_WINDOW:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "window too large")
        self._events.append(WindowGrew(0))

    def _widen(self, number: int, increment: int) -> None:
        stream = self.streams.get(number)
        if stream is None:
            if number > self.last_stream or not number % 2:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of an idle stream")
            return  # it may have crossed with the stream's end
        stream.window += increment
        if not increment:
            self._offend(number, ErrorCode.PROTOCOL_ERROR)
        elif stream.window > frames.HIGHEST_WINDOW:
            self._offend(number, ErrorCode.FLOW_CONTROL_ERROR)
        else:
            self._events.append(WindowGrew(number))

    def _offend(self, number: int, code: ErrorCode) -> None:
        """End a stream for what its client did on it."""
        if not self._budgets.offences.spend(self._now):
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many errors on streams")
        self.streams.pop(number, None)
        self._out.append(frames.rst_stream(number, code))
        self._events.append(StreamLost(number, code))

    def _drop_if_done(self, stream: Stream) -> None:
        if not stream.reading and not stream.writing:
            self.streams.pop(stream.number, None)

    # Answering.

    def headers(self, number: int, section: bytes, *, end: bool) -> bytes:
        """Return the frames of a field section; b"" on a stream that is gone."""
        stream = self.streams.get(number)
        if stream is None or not stream.writing:
            return b""
        if self._shrink_table:
            self._shrink_table = False
            section = b"\x20" + section  # RFC 7541, 6.3
        made = frames.headers(number, section, end=end)
        return made + self._ended(stream) if end else made

    def room(self, stream: Stream) -> int:
        """Say how many bytes of a body one DATA frame may carry now."""
        return max(0, min(_FRAME_SIZE, self.window, stream.window))

    def data(self, stream: Stream, data: bytes, *, end: bool) -> bytes:
        """Return a DATA frame. There must be room for it; an empty one needs none."""
        size = len(data)
        self.window -= size
        stream.window -= size
        flags = frames.END_STREAM if end else 0
        made = frames.frame_header(size, frames.DATA, flags, stream.number) + data
        return made + self._ended(stream) if end else made

    def _ended(self, stream: Stream) -> bytes:
        """Note that our side is over; ask the client to stop its own (RFC 9113, 8.1)."""
        stream.writing = False
        if not stream.reading:
            self.streams.pop(stream.number, None)
            return b""
        return self.reset(stream.number, ErrorCode.NO_ERROR)

    def reset(self, number: int, code: ErrorCode) -> bytes:
        """End a stream at once; return the frame that says so, b"" if it is gone already."""
        if self.streams.pop(number, None) is None:
            return b""
        return frames.rst_stream(number, code)

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
            increment = stream.refill()
            if increment:
                self._out.append(frames.window_update(number, increment))

    def goaway(self, code: ErrorCode, *, last: int | None = None, debug: str = "") -> bytes:
        """Return the frame that says that no streams beyond `last` will be served.

        Without `last` it is the one opened last. Running streams go on.
        """
        self._closing_at = self.last_stream if last is None else last
        return frames.goaway(self._closing_at, code, debug.encode("ascii", "replace"))

    def forget(self) -> None:
        """Let go of the heads that are remembered; for a connection that may idle for long."""
        self._heads.forget()

    _TAKERS: ClassVar = {
        frames.DATA: _take_data,
        frames.HEADERS: _take_section,
        frames.PRIORITY: _take_priority,
        frames.RST_STREAM: _take_reset,
        frames.SETTINGS: _take_settings,
        frames.PUSH_PROMISE: _take_push_promise,
        frames.PING: _take_ping,
        frames.GOAWAY: _take_goaway,
        frames.WINDOW_UPDATE: _take_window_update,
    }
