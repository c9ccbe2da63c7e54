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
from proxy.wire.http2_budget import CRUMB, Allowance
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
from proxy.wire.http2_sending import Http2Sending
from proxy.wire.http2_settings import MOST_STREAMS, own_settings
from proxy.wire.http2_streams import Stream

_READ_ANYWAY = 4  # times the limit that a field section is still read, so that it can be answered


class Http2Server(Http2Sending):
    """See the module's docstring."""

    __slots__ = ("_arriving", "_events", "_frames", "_grown", "_heads", "_now")

    def __init__(self, limits: HeadLimits, now: float) -> None:
        """Begin; the first output is there at once."""
        super().__init__(own_settings(limits), now)
        self._heads = HeadReader(limits)
        self._frames = FrameReader(_READ_ANYWAY * limits.size)
        self._now = now
        # While bytes are read:
        self._events: list[Event] = []
        self._arriving: dict[int, list[bytes]] = {}  # what has come of bodies
        self._grown = False  # some window has

    @property
    def midway(self) -> bool:
        """True while the client is in the middle of saying something, or has yet to begin."""
        return self._frames.midway

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
        if self._arriving:
            self._arriving = {}
        if self._grown:
            self._grown = False
            events.append(WindowGrew())
        self._events = []  # heads and bodies are not to be kept until the next read
        return events

    def _spend(self, allowance: Allowance, on: str, tokens: float = 1.0) -> None:
        if not allowance.spend(self._now, tokens):
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
            # Trailers may cross with our reset, and new streams with our GOAWAY. They must be
            # decoded, for the sake of the table.
            self.last_stream = max(self.last_stream, number)
            self._heads.fields(section)
            self._spend(self._budgets.idle_frames, "HEADERS on closed streams")
        else:
            self._open(number, section, ended=ended)

    def _open(self, number: int, section: bytes, *, ended: bool) -> None:
        self.last_stream = number
        stream = Stream(number, self._settings.initial_window)
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
        self._intake.receive(size)
        stream = self.streams.get(number)
        if stream is None:
            if number > self.last_stream or not number % 2:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "DATA on an idle stream")
            # A whole window of it may have been on its way.
            self._spend(self._budgets.idle_frames, "DATA on closed streams", 0.25)
            self._refill()
            return
        if stream.paused:
            self._intake.hold(stream, size)
        self._refill()
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
            if len(payload) < CRUMB and not ended:
                self._spend(self._budgets.crumbs, "DATA frames with next to nothing")
            self._take_body(stream, payload)
        elif not ended:
            self._spend(self._budgets.empty_data, "DATA frames without data")
        if number not in self.streams:
            return
        if ended:
            self._end_body(stream, b"")
            return
        increment = stream.refill()
        if increment:
            self._out.append(frames.window_update(stream.number, increment))

    def _take_body(self, stream: Stream, data: bytes) -> None:
        if stream.owed is not None:
            stream.owed -= len(data)
            if stream.owed < 0:
                self._offend(stream.number, ErrorCode.PROTOCOL_ERROR)  # RFC 9113, 8.1.1
                return
        pieces = self._arriving.get(stream.number)
        if pieces is None:
            pieces = self._arriving[stream.number] = []
            self._events.append(BodyReceived(stream.number, pieces))
        pieces.append(data)

    def _end_body(self, stream: Stream, trailers: bytes) -> None:
        if stream.owed:
            self._offend(stream.number, ErrorCode.PROTOCOL_ERROR)
            return
        stream.reading = False
        self._events.append(BodyEnded(stream.number, trailers))

    # Other frames.

    def _take_priority(self, _flags: int, _number: int, _payload: bytes) -> None:
        self._spend(self._budgets.idle_frames, "PRIORITY frames")

    def _take_reset(self, _flags: int, number: int, payload: bytes) -> None:
        if number > self.last_stream or not number % 2:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "RST_STREAM of an idle stream")
        self._spend(self._budgets.resets, "resets")
        if self._drop(number):
            self._events.append(StreamLost(number, int.from_bytes(payload)))

    def _take_settings(self, flags: int, _number: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if payload:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS in an acknowledgement")
            self._spend(self._budgets.settings, "acknowledgements")
            return
        self._spend(self._budgets.settings, "SETTINGS frames")
        grown = self._settings.take(payload)
        if grown:
            for stream in self.streams.values():
                stream.window += grown
                if stream.window > frames.HIGHEST_WINDOW:
                    raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "window too large")
        if grown > 0:
            self._grown = True
        self._out.append(frames.SETTINGS_ACK)

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
        self._grown = True

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
            self._grown = True

    def _offend(self, number: int, code: ErrorCode) -> None:
        """End a stream for what its client did on it."""
        if not self._budgets.offences.spend(self._now):
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many errors on streams")
        self._drop(number)
        self._out.append(frames.rst_stream(number, code))
        self._events.append(StreamLost(number, code))

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
