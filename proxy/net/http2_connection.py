"""A client's HTTP/2 connection: turns its streams into exchanges, many at a time.

The machine in `wire` reads and writes the protocol. This session moves bytes, shares the wire out
among the streams that have something to send, a frame each in turn, and keeps the client's
deadlines. What one turn of the loop produces goes out in one write.
"""

import asyncio
import logging
import math
from collections import deque

from proxy.clock import monotonic
from proxy.errors import BadRequestError, ProxyError
from proxy.exchange.exchange import Client
from proxy.message.head import RequestHead
from proxy.net.body_watch import BodyWatch
from proxy.net.channel import Channel
from proxy.net.http2_stream import Http2Stream
from proxy.net.service import Service
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
from proxy.wire.http2_frames import HIGHEST_STREAM, ErrorCode
from proxy.wire.http2_server import Http2Server

_log = logging.getLogger("pyproxy.serve")
_TURN = 256 * 1024  # bytes of bodies sent before others get their turn on the loop
_TICK = 1.0  # seconds between two looks at the deadlines of streams
_LAST_CALL = 1.0  # seconds in which a draining worker still takes requests that are on their way
_SETTLE = 3.0  # seconds after which a connection is taken to idle for long


class Http2Connection:
    """See the module's docstring. Implements `channel.Session` and `http2_stream.Carrier`.

    Attributes:
        machine: The protocol's.
        service: Serves exchanges.
        client: Who it is.
    """

    __slots__ = (
        "_channel",
        "_ending",
        "_out",
        "_refusal",
        "_scheduled",
        "_settled",
        "_streams",
        "_turns",
        "client",
        "machine",
        "service",
    )

    def __init__(
        self, channel: Channel, service: Service, client: Client, refusal: ProxyError | None = None
    ) -> None:
        """Begin with a channel that is ready.

        Args:
            channel: To the client.
            service: Serves exchanges.
            client: Who it is.
            refusal: What to answer every request, instead of serving it.
        """
        now = monotonic()
        self._channel = channel
        self.service = service
        self.client = client
        self.machine = Http2Server(service.head_limits, now)
        self._refusal = refusal
        self._streams: dict[int, Http2Stream] = {}
        self._turns: deque[Http2Stream] = deque()
        self._out: list[bytes] = []
        self._scheduled = False
        self._ending = False  # the last GOAWAY went out
        self._settled = False
        channel.deadline = now + service.timeouts.request_header
        self.write(b"")

    # What the channel calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._ending and not self._streams:
            return
        now = monotonic()
        try:
            events = self.machine.receive(data, now)
        except Http2Error as error:
            self._break_off(error)
            return
        for event in events:
            self._heed(event, now)
        self.write(b"")
        if self._channel.writing_paused:
            self._channel.pause_reading()  # answers would only pile up
        if not self._streams:
            self._rest(now)

    def eof_received(self) -> None:
        """The client sends nothing more, and so has left."""
        self.close()

    def pause_writing(self) -> None:
        """Nothing: streams notice by what queues up on them."""

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._channel.resume_reading()
        self._send()

    def channel_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the face's signature
        """The connection is gone: so is whatever was being done for it."""
        self._leave()
        self.service.connection_ended(self)

    def deadline_passed(self, now: float) -> bool:
        """Look at every stream's deadline, or at the connection's where there is no stream."""
        if self._streams:
            slow = [self._overdue(stream, now) for stream in tuple(self._streams.values())]
            if self._streams:
                self._channel.deadline = now + _TICK
            return any(slow)
        if self._channel.writing_paused:
            self._channel.deadline = now + self.service.timeouts.keep_alive
            return False
        midway = self.machine.midway
        keep_alive = self.service.timeouts.keep_alive
        if not midway and not self._settled and not self.service.draining and keep_alive > _SETTLE:
            self._settled = True
            self.machine.forget()
            self._channel.deadline = now + keep_alive - _SETTLE
            return False
        self._end()
        return midway

    def _overdue(self, stream: Http2Stream, now: float) -> bool:
        """End a stream whose client is too slow, and say so."""
        timeouts = self.service.timeouts
        exchange = stream.exchange
        if stream.watch is not None:
            if stream.stream.paused:  # it is we who do not read
                stream.deadline = now + timeouts.body_idle
                stream.watch.restart(exchange, now)
            elif stream.deadline < now:
                self.service.refuse(exchange, BadRequestError("the body stalled", status=408))
                return True
        if not stream.queued or self.machine.room(stream.stream):
            stream.stalled = 0.0
        elif not stream.stalled:
            stream.stalled = now
        elif now - stream.stalled > timeouts.write_idle:
            stream.abort(exchange)
            return True
        return False

    # Reading.

    def _heed(self, event: Event, now: float) -> None:
        if isinstance(event, RequestBegan):
            self._begin(event.stream, event.head, None, now)
        elif isinstance(event, BodyReceived):
            self._take_body(event.stream, event.data, now)
        elif isinstance(event, BodyEnded):
            self._end_body(event)
        elif isinstance(event, WindowGrew):
            self._grown(event.stream)
        elif isinstance(event, StreamLost):
            stream = self._streams.pop(event.stream, None)
            if stream is not None:
                stream.gone = True
                self.service.leave(stream.exchange, now)
        elif isinstance(event, RequestRefused):
            self._begin(event.stream, RequestHead("", "", "HTTP/2.0"), event.error, now)
        elif isinstance(event, ClientLeaves):
            self._ending = True

    def _begin(
        self, number: int, head: RequestHead, refusal: ProxyError | None, now: float
    ) -> None:
        machine_side = self.machine.streams.get(number)
        if machine_side is None:  # reset in the same breath
            return
        service = self.service
        if not self._streams:
            self._channel.deadline = now + _TICK
            self._settled = False
        stream = self._streams[number] = Http2Stream(self, machine_side)
        exchange = stream.exchange = service.begin(stream, self.client, head, now)
        if head.has_body:
            stream.watch = BodyWatch(now)
            stream.deadline = now + service.timeouts.body_idle
        if self._refusal is not None:
            refusal = self._refusal
            self._ending = True
        if refusal is not None:
            service.refuse(exchange, refusal)
        else:
            service.serve(exchange)

    def _take_body(self, number: int, data: bytes, now: float) -> None:
        stream = self._streams.get(number)
        if stream is None or stream.watch is None:
            return
        exchange = stream.exchange
        timeouts = self.service.timeouts
        stream.deadline = now + timeouts.body_idle
        try:
            stream.watch.received(exchange, len(data), now, timeouts.min_rate)
        except BadRequestError as error:
            self.service.refuse(exchange, error)
            return
        if exchange.consumer is not None:
            exchange.consumer.body_received(data)

    def _end_body(self, event: BodyEnded) -> None:
        stream = self._streams.get(event.stream)
        if stream is None:
            return
        watched, stream.watch = stream.watch is not None, None
        consumer = stream.exchange.consumer
        if watched and consumer is not None:
            consumer.body_ended(event.trailers)

    def _grown(self, number: int) -> None:
        streams = self._streams
        for stream in streams.values() if not number else filter(None, [streams.get(number)]):
            if stream.queued and not stream.in_turn:
                stream.in_turn = True
                self._turns.append(stream)
        self._send()

    # Writing.

    def write(self, data: bytes) -> None:
        """Put frames on the wire at the end of this turn, behind what the machine has to say."""
        out = self._out
        said = self.machine.take_output()
        if said:
            out.append(said)
        if data:
            out.append(data)
        if out and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._write_out)

    def _write_out(self) -> None:
        self._scheduled = False
        out, self._out = self._out, []
        self._channel.write(out[0] if len(out) == 1 else b"".join(out))
        if self._turns:
            self._send()

    def send_soon(self, stream: Http2Stream) -> None:
        """Send what a stream has queued, in its turn."""
        if not stream.in_turn:
            stream.in_turn = True
            self._turns.append(stream)
        if not self._scheduled or len(self._turns) == 1:
            self._send()

    def _send(self) -> None:
        """Send a frame of each stream in turn, while windows and the client's pace allow it."""
        turns, machine, channel = self._turns, self.machine, self._channel
        sent = 0
        drained: list[Http2Stream] = []
        while turns and sent < _TURN and not channel.writing_paused:
            stream = turns.popleft()
            room = machine.room(stream.stream)
            if stream.queued and not room:
                stream.in_turn = False  # `_grown` brings it back
                continue
            if stream.gone:
                continue
            made = stream.next_frame(room)
            sent += len(made)
            self._out.append(made)
            if stream.over and not stream.queued:
                self.stream_ended(stream)
            elif stream.queued:
                turns.append(stream)
            else:
                stream.in_turn = False
            drained.append(stream)
        if sent:
            self.write(b"")
            for stream in drained:
                stream.caught_up()

    def stream_ended(self, stream: Http2Stream) -> None:
        """A stream's answer is out, or was cut short."""
        if self._streams.pop(stream.stream.number, None) is None:
            return
        stream.gone = True
        now = monotonic()
        self.service.finish(stream.exchange, now)
        if not self._streams:
            self._rest(now)

    # Ending.

    def _rest(self, now: float) -> None:
        """No stream is open: wait for the next, or end."""
        if self._ending:
            self._end()
        elif self.service.draining:
            self._channel.deadline = now + _LAST_CALL
        elif self.machine.midway:
            self._channel.deadline = min(
                self._channel.deadline, now + self.service.timeouts.request_header
            )
        else:
            self._settled = False
            self._channel.deadline = now + min(_SETTLE, self.service.timeouts.keep_alive)

    def _break_off(self, error: Http2Error) -> None:
        """End the connection for what its client did, and tell it why."""
        _log.info("HTTP/2 connection of %s: %s", self.client.peer, error.detail)
        self._leave()
        self._out.append(self.machine.take_output())
        self._out.append(self.machine.goaway(error.code, debug=error.detail))
        self._close()

    def _end(self) -> None:
        """Say goodbye and close."""
        self._out.append(self.machine.take_output())
        self._out.append(self.machine.goaway(ErrorCode.NO_ERROR))
        self._close()

    def _close(self) -> None:
        out, self._out = self._out, []
        self._ending = True
        self._channel.deadline = math.inf
        self._channel.write(b"".join(out))
        self._channel.close()

    def _leave(self) -> None:
        """The client is gone: stop what is done for it."""
        now = monotonic()
        streams, self._streams = self._streams, {}
        self._turns.clear()
        for stream in streams.values():
            stream.gone = True
            self.service.leave(stream.exchange, now)

    def stop_soon(self) -> None:
        """The worker drains: let running streams end, and those that are on their way begin.

        A client that has just sent a request would take a GOAWAY without it for a refusal, so the
        first one excludes nothing (RFC 9113, 6.8).
        """
        self.write(self.machine.goaway(ErrorCode.NO_ERROR, last=HIGHEST_STREAM))
        if not self._streams:
            channel = self._channel
            channel.deadline = min(channel.deadline, monotonic() + _LAST_CALL)

    def close(self) -> None:
        """Close at once."""
        self._leave()
        self._channel.close()
