"""A client's HTTP/2 connection: turns its streams into exchanges, many at a time.

The machine in `wire` reads and writes the protocol, an `Outlet` shares the wire out among the
streams that have something to send. This session tells them of what comes, and keeps the client's
deadlines.
"""

import logging
import math

from proxy.clock import monotonic
from proxy.errors import BadRequestError, ProxyError
from proxy.exchange.exchange import Client
from proxy.message.head import RequestHead
from proxy.net.body_watch import BodyWatch
from proxy.net.channel import Channel
from proxy.net.http2_outlet import Outlet
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
from proxy.wire.websocket_bridge import key_field

_log = logging.getLogger("pyproxy.serve")
_TICK = 1.0  # seconds between two looks at the deadlines of streams
_LAST_CALL = 1.0  # seconds in which a draining worker still takes requests that are on their way
_SETTLE = 3.0  # seconds after which a connection is taken to idle for long
_LINGER = 2.0  # seconds in which a client may still send what will not be read


class Http2Connection:
    """See the module's docstring. Implements `channel.Session` and `http2_stream.Carrier`.

    Attributes:
        client: Who it is.
        machine: The protocol's.
        outlet: Where streams send their frames.
        service: Serves exchanges.
    """

    __slots__ = (
        "_advancing",
        "_channel",
        "_ending",
        "_last_call",
        "_over",
        "_refusal",
        "_settled",
        "_streams",
        "_whole_by",
        "client",
        "machine",
        "outlet",
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
        self.outlet = Outlet(channel, self.machine)
        self._refusal = refusal
        self._streams: dict[int, Http2Stream] = {}
        self._advancing = False
        self._ending = False  # no further streams come, or are served
        self._over = False  # nothing more is read or written
        self._last_call = math.inf  # when the last GOAWAY is due
        self._settled = False
        self._whole_by = now + service.timeouts.request_header
        channel.deadline = self._whole_by
        self.outlet.write(b"")

    # What the channel calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._over:
            return
        now = monotonic()
        self._advancing = True
        try:
            for event in self.machine.receive(data, now):
                self._heed(event, now)
        except Http2Error as error:
            self._break_off(error)
            return
        finally:
            self._advancing = False
        self.outlet.write(b"")
        if self._channel.writing_paused:
            self._channel.pause_reading()  # answers would only pile up
        if not self._streams:
            self._rest(now)

    def eof_received(self) -> None:
        """The client sends nothing more, and so has left."""
        self._leave()
        self._over = True
        self._channel.close()

    def pause_writing(self) -> None:
        """Nothing: streams notice by what queues up on them."""

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._channel.resume_reading()
        self.outlet.send()

    def channel_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the face's signature
        """The connection is gone: so is whatever was being done for it."""
        self._over = True
        self._leave()
        self.service.connection_ended(self)

    def deadline_passed(self, now: float) -> bool:
        """Look at every stream's deadline, or at the connection's where there is no stream."""
        channel = self._channel
        if self._over:
            return self._lingered(now)
        if now >= self._last_call and not self._ending:
            self._ending = True
            if self._streams:
                self.outlet.write(self.machine.goaway(ErrorCode.NO_ERROR))
        if self._streams:
            slow = [self._overdue(stream, now) for stream in tuple(self._streams.values())]
            if self._streams:
                channel.deadline = now + _TICK
            return any(slow)
        if channel.writing_paused:
            channel.deadline = now + self.service.timeouts.keep_alive
            return False
        midway = self.machine.midway
        keep_alive = self.service.timeouts.keep_alive
        if not midway and not self._settled and not self._ending and keep_alive > _SETTLE:
            self._settled = True
            self.machine.forget()
            channel.deadline = min(now + keep_alive - _SETTLE, self._last_call)
            return False
        self._end()
        return midway

    def _overdue(self, stream: Http2Stream, now: float) -> bool:
        """End a stream whose client is too slow, and say so."""
        timeouts = self.service.timeouts
        exchange = stream.exchange
        if stream.watch is not None:
            # It may be we who do not read.
            if stream.stream.paused or self.machine.choked or self._channel.reading_paused:
                stream.deadline = now + timeouts.body_idle
                stream.watch.restart(exchange, now)
            elif stream.deadline < now:
                self.service.refuse(exchange, BadRequestError("the body stalled", status=408))
                return True
        least = max(1.0, timeouts.min_rate * timeouts.write_idle)
        if not stream.stalled(now, timeouts.write_idle, least):
            return False
        number = stream.stream.number
        self.outlet.write(self.machine.reset(number, ErrorCode.CANCEL))
        self._lose(number, now)
        if not self._streams:
            self._rest(now)
        return True

    # Reading.

    def _heed(self, event: Event, now: float) -> None:
        if isinstance(event, RequestBegan):
            self._begin(event.stream, event.head, None, now)
        elif isinstance(event, BodyReceived):
            self._take_body(event, now)
        elif isinstance(event, BodyEnded):
            self._end_body(event)
        elif isinstance(event, WindowGrew):
            self.outlet.window_grew()
        elif isinstance(event, StreamLost):
            self._lose(event.stream, now)
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
            self._whole_by = math.inf
        stream = self._streams[number] = Http2Stream(self, machine_side)
        exchange = stream.exchange = service.begin(stream, self.client, head, now)
        if head.upgrade:
            exchange.added = key_field()
        if head.has_body:
            stream.watch = BodyWatch(now)
            stream.deadline = now + service.timeouts.body_idle
        if service.draining and self._last_call == math.inf:
            self.stop_soon()  # it came in after the others were told
        if self._refusal is not None:
            refusal = self._refusal
            self._ending = True
        if refusal is not None:
            service.refuse(exchange, refusal)
        else:
            service.serve(exchange)

    def _take_body(self, event: BodyReceived, now: float) -> None:
        stream = self._streams.get(event.stream)
        if stream is None:
            return
        pieces = event.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        exchange = stream.exchange
        if stream.watch is None:
            self._take_raw(stream, data)
            return
        timeouts = self.service.timeouts
        stream.deadline = now + timeouts.body_idle
        try:
            stream.watch.received(exchange, len(data), now, timeouts.min_rate)
        except BadRequestError as error:
            self.service.refuse(exchange, error)
            return
        if exchange.consumer is not None:
            exchange.consumer.body_received(data)

    def _take_raw(self, stream: Http2Stream, data: bytes) -> None:
        """Take a WebSocket's bytes, b"" for their end (RFC 8441)."""
        exchange = stream.exchange
        if stream.stream.switched:
            exchange.received += len(data)
            if exchange.consumer is None:
                return
            if data:
                exchange.consumer.body_received(data)
            else:
                exchange.consumer.body_ended(b"")
        elif exchange.head.upgrade and not stream.over:
            error = BadRequestError("bytes for a WebSocket that was not open yet")
            self.service.refuse(exchange, error)

    def _end_body(self, event: BodyEnded) -> None:
        stream = self._streams.get(event.stream)
        if stream is None:
            return
        if stream.watch is None:
            self._take_raw(stream, b"")
            return
        stream.watch = None
        if stream.exchange.consumer is not None:
            stream.exchange.consumer.body_ended(event.trailers)

    # Ends of streams.

    def stream_ended(self, stream: Http2Stream) -> None:
        """A stream's answer is out, or was cut short."""
        if self._streams.pop(stream.stream.number, None) is None:
            return
        now = monotonic()
        self._forget(stream)
        self.service.finish(stream.exchange, now)
        if not self._streams and not self._advancing:
            self._rest(now)

    def _lose(self, number: int, now: float) -> None:
        """A stream ended before its answer did: stop what is done for it."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._forget(stream)
            self.service.leave(stream.exchange, now)

    def _forget(self, stream: Http2Stream) -> None:
        stream.gone = True
        if stream.queued:
            stream.exchange.sent -= stream.queued
        self.outlet.forget(stream)

    # Ending.

    def _rest(self, now: float) -> None:
        """No stream is open: wait for the next, or end."""
        if self._ending:
            self._end()
            return
        timeouts = self.service.timeouts
        if not self.machine.midway:
            self._whole_by = math.inf
            self._settled = False
            deadline = now + min(_SETTLE, timeouts.keep_alive)
        else:
            self._whole_by = deadline = min(self._whole_by, now + timeouts.request_header)
        self._channel.deadline = min(deadline, self._last_call)

    def _break_off(self, error: Http2Error) -> None:
        """End the connection for what its client did, and tell it why."""
        _log.info("HTTP/2 connection of %s: %s", self.client.peer, error.detail)
        self._leave()
        self.outlet.write(self.machine.goaway(error.code, debug=error.detail))
        self._linger()

    def _end(self) -> None:
        """Say goodbye and close."""
        self.outlet.write(self.machine.goaway(ErrorCode.NO_ERROR))
        self._linger()

    def _linger(self) -> None:
        """Close our side first: what the client still sends must not destroy our last answers.

        A socket closed with unread bytes sends a reset, and a client that is told of an answer's
        end acknowledges its bytes all the same (RFC 9113, 9.1).
        """
        self._over = True
        self.outlet.write_out()
        self._channel.resume_reading()
        self._channel.write_eof()
        self._channel.deadline = monotonic() + _LINGER

    def _lingered(self, now: float) -> bool:
        channel = self._channel
        transport = channel.transport
        if transport is not None and transport.get_write_buffer_size():
            timeouts = self.service.timeouts
            least = max(1.0, timeouts.min_rate * timeouts.write_idle)
            if channel.check_stalled(now, timeouts.write_idle, least):
                channel.abort()
                return True
            channel.deadline = now + _LINGER
        else:
            channel.close()
        return False

    def _leave(self) -> None:
        """The client is gone: stop what is done for it."""
        now = monotonic()
        for number in tuple(self._streams):
            self._lose(number, now)

    # What the worker asks.

    def stop_soon(self) -> None:
        """The worker drains: let running streams end, and those that are on their way begin.

        A client that has just sent a request would take a GOAWAY without it for a refusal, so the
        first one excludes nothing; the last one follows a moment later (RFC 9113, 6.8).
        """
        if self._over or self._last_call < math.inf:
            return
        self._last_call = monotonic() + _LAST_CALL
        self.outlet.write(self.machine.goaway(ErrorCode.NO_ERROR, last=HIGHEST_STREAM))
        channel = self._channel
        channel.deadline = min(channel.deadline, self._last_call)

    def close(self) -> None:
        """Close at once."""
        self._leave()
        if not self._over:
            self._over = True
            self.outlet.write(self.machine.goaway(ErrorCode.NO_ERROR))
            self.outlet.write_out()
        self._channel.close()
