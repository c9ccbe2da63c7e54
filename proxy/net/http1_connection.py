"""A client's HTTP/1.1 connection: turns its bytes into exchanges, one after the other.

The machine in `wire` reads and writes the protocol; this session moves bytes, keeps the client's
deadlines, and is the `ClientStream` of whichever exchange is running. While one runs, its
consumer is told of the body, of back-pressure and of the client's leaving.
"""

import math
from typing import Protocol

from proxy.clock import monotonic
from proxy.errors import BadRequestError, ProxyError
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Client, Exchange
from proxy.exchange.phases import Phase
from proxy.message.head import RequestHead, ResponseHead
from proxy.net.channel import Channel
from proxy.policy.body_limit import too_large
from proxy.routing.route import Timeouts
from proxy.wire.events import PAUSED, MessageEnd
from proxy.wire.http1_server import Framing, HeadLimits, Http1Server, Reading

_PIPELINED = 64 * 1024  # bytes of further requests taken in before their sender is stopped
_JOIN = 16 * 1024  # pieces up to a TLS record's size are joined to one write; larger ones are not
_LINGER = 2.0  # seconds in which a client may still send what will not be read
_RATE_WINDOW = 60.0  # seconds over which a body's rate is measured


class Service(Protocol):
    """What a connection needs of the worker: who serves, who logs, which limits hold now."""

    timeouts: Timeouts
    date_line: bytes
    draining: bool

    @property
    def head_limits(self) -> HeadLimits:
        """Bounds for the heads of a new connection."""

    def serve(self, exchange: Exchange) -> None:
        """Find the exchange's route and let it serve."""

    def error_answer(self, exchange: Exchange, error: ProxyError) -> Answer:
        """Turn an error into an answer."""

    def finish(self, exchange: Exchange, now: float) -> None:
        """Log and count an exchange that has ended."""

    def connection_ended(self, session: "Http1Connection") -> None:
        """A connection is gone."""


class Http1Connection:
    """See the module's docstring. Implements `channel.Session` and `exchange.ClientStream`."""

    __slots__ = (
        "_advancing",
        "_channel",
        "_exchange",
        "_idle",
        "_lingering",
        "_machine",
        "_out",
        "_rate_bytes",
        "_rate_since",
        "_service",
        "_switched",
        "client",
        "refusal",
    )

    def __init__(self, channel: Channel, service: Service, client: Client) -> None:
        self._channel = channel
        self._service = service
        self.client = client
        self.refusal: ProxyError | None = None
        self._machine = Http1Server(service.head_limits)
        self._exchange: Exchange | None = None
        self._out: list[bytes] = []
        self._advancing = False
        self._switched = False
        self._lingering = False
        self._idle = False
        self._rate_since = 0.0
        self._rate_bytes = 0
        channel.deadline = monotonic() + service.timeouts.request_header

    # What the channel calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._switched:
            self._take_raw(data)
        elif not self._lingering:
            self._machine.receive(data)
            self._advance()

    def eof_received(self) -> None:
        """The client sends nothing more.

        A client that closes its side in the middle of a request has left, as in nginx and Caddy:
        there is no telling a half-closed connection from one that is going away.
        """
        if self._exchange is not None and not self._switched:
            self._leave()
        elif self._exchange is not None and self._exchange.consumer is not None:
            self._exchange.consumer.body_ended(b"")
        else:
            self._channel.close()

    def pause_writing(self) -> None:
        """Pass the client's back-pressure on."""
        if self._exchange is not None and self._exchange.consumer is not None:
            self._exchange.consumer.client_full()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._exchange is not None and self._exchange.consumer is not None:
            self._exchange.consumer.client_ready()

    def channel_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the face's signature
        """The connection is gone: so is whatever was being done for it."""
        self._leave()
        self._machine.close()
        self._out.clear()
        self._service.connection_ended(self)

    def deadline_passed(self, now: float) -> None:
        """The client took too long; say so where it is in the middle of something."""
        exchange = self._exchange
        if self._lingering or (exchange is None and self._idle):
            self._channel.close()
        elif exchange is None:
            if self._machine.buffered:
                self._refuse(BadRequestError("no whole head in time", status=408))
            else:
                self._channel.close()
        elif self._machine.reading in (Reading.LENGTH, Reading.CHUNKED):
            if self._channel.reading_paused:  # it is we who do not read
                self._channel.deadline = now + self._service.timeouts.body_idle
            else:
                self._refuse(BadRequestError("the body stalled", status=408))

    # Reading.

    def _advance(self) -> None:
        """Tell everything the machine knows; not re-entered when an answer ends meanwhile."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while True:
                event = self._machine.next_event()
                if event is None:
                    break
                if type(event) is RequestHead:
                    self._begin(event)
                elif type(event) is bytes:
                    self._take_body(event)
                elif type(event) is MessageEnd:
                    self._end_body(event)
                elif event is PAUSED:
                    if self._machine.buffered > _PIPELINED:
                        self._channel.pause_reading()
                    break
        except BadRequestError as error:
            self._refuse(error)
        finally:
            self._advancing = False
        if self._exchange is None and self._idle and self._machine.buffered:
            self._idle = False
            self._channel.deadline = monotonic() + self._service.timeouts.request_header

    def _begin(self, head: RequestHead) -> None:
        service = self._service
        now = monotonic()
        exchange = self._exchange = Exchange(self, self.client, head, now)
        self._idle = False
        if head.has_body:
            self._channel.deadline = now + service.timeouts.body_idle
            self._rate_since = now
            self._rate_bytes = 0
        else:
            self._channel.deadline = math.inf
        if service.draining:
            self._machine.keep_alive = False
        if self.refusal is not None:
            self._refuse(self.refusal)
        else:
            service.serve(exchange)

    def _take_body(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        exchange.received += len(data)
        if exchange.body_limit and exchange.received > exchange.body_limit:
            raise too_large(exchange.body_limit, exchange.route)
        now = monotonic()
        self._channel.deadline = now + self._service.timeouts.body_idle
        self._check_rate(exchange, now)
        if exchange.consumer is not None:
            exchange.consumer.body_received(data)

    def _check_rate(self, exchange: Exchange, now: float) -> None:
        """Cut a body that comes more slowly than the least rate over a whole window."""
        if now - self._rate_since < _RATE_WINDOW:
            return
        least = self._service.timeouts.min_rate * (now - self._rate_since)
        if exchange.received - self._rate_bytes < least:
            raise BadRequestError("the body comes too slowly", status=408)
        self._rate_since = now
        self._rate_bytes = exchange.received

    def _end_body(self, end: MessageEnd) -> None:
        exchange = self._exchange
        if exchange is not None:
            self._channel.deadline = math.inf
            if exchange.consumer is not None:
                exchange.consumer.body_ended(end.trailers)

    def _take_raw(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.consumer is not None:
            exchange.received += len(data)
            exchange.consumer.body_received(data)

    # Ending.

    def _refuse(self, error: ProxyError) -> None:
        """Answer an error that is found while reading, and read nothing more."""
        exchange = self._exchange
        if exchange is None:
            head = RequestHead("-", "-", "HTTP/1.1")
            exchange = self._exchange = Exchange(self, self.client, head, monotonic())
        exchange.error = error
        consumer, exchange.consumer = exchange.consumer, None
        if consumer is not None:
            consumer.client_gone()
        if exchange.phase >= Phase.ANSWERED:
            self.abort()
            return
        answer = self._service.error_answer(exchange, error)
        answer.close = True
        self.send_answer(exchange, answer)

    def _leave(self) -> None:
        """The client is gone: stop what is done for it, and log it."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        consumer, exchange.consumer = exchange.consumer, None
        if consumer is not None:
            consumer.client_gone()
        if not exchange.status:
            exchange.status = 499
        self._service.finish(exchange, monotonic())
        self._channel.close()

    def _end_exchange(self, exchange: Exchange) -> None:
        """The answer is out: log it, and go on with the next request or close."""
        now = monotonic()
        self._exchange = None
        exchange.consumer = None
        self._service.finish(exchange, now)
        machine = self._machine
        channel = self._channel
        if machine.reading is Reading.HEAD:
            self._idle = True
            channel.deadline = now + self._service.timeouts.keep_alive
            if channel.reading_paused:
                channel.resume_reading()
            if machine.buffered and not self._advancing:
                self._advance()
        elif not self._lingering:
            channel.close()

    def _linger(self) -> None:
        """Close our side first, so that what the client still sends does not destroy our answer.

        A socket closed with unread bytes sends a reset, and the client may never see the answer
        (RFC 9112, 9.6).
        """
        self._lingering = True
        self._channel.resume_reading()
        self._channel.write_eof()
        self._channel.deadline = monotonic() + _LINGER

    # ClientStream.

    def send_answer(self, exchange: Exchange, answer: Answer) -> None:
        """Send a whole answer of our own."""
        machine = self._machine
        unread = machine.reading is not Reading.DONE and not machine.skip_body()
        if answer.close:
            machine.keep_alive = False
        head = answer.head
        fields = exchange.edit.apply(head.block) + self._service.date_line
        out = machine.begin(head, fields) + machine.body(answer.body) + machine.finish()
        exchange.status = head.status
        exchange.sent = len(answer.body)
        exchange.phase = Phase.FINISHED
        self._channel.write(out)
        if unread:
            self._linger()
        self._end_exchange(exchange)

    def send_interim(self, exchange: Exchange, head: ResponseHead) -> None:  # noqa: ARG002
        """Pass a 1xx head on."""
        self._out.append(self._machine.interim(head))

    def send_head(self, exchange: Exchange, head: ResponseHead) -> None:
        """Begin the answer."""
        self._out.append(self._begin_answer(exchange, head))

    def _begin_answer(self, exchange: Exchange, head: ResponseHead) -> bytes:
        fields = exchange.edit.apply(head.block)
        if not head.dated:  # RFC 9110, 6.6.1
            fields += self._service.date_line
        exchange.status = head.status
        exchange.phase = Phase.ANSWERED
        return self._machine.begin(head, fields)

    def send_whole(self, exchange: Exchange, head: ResponseHead, body: bytes) -> None:
        """Send head and body in one go; what was made for a repeated head is used again."""
        machine = self._machine
        prepared = head.prepared
        if (
            type(prepared) is tuple
            and prepared[0] is exchange.edit
            and machine.keep_alive
            and machine.reading is Reading.DONE
            and exchange.head.version == "HTTP/1.1"
        ):
            out = prepared[1] + body
            exchange.status = head.status
            machine.finish_whole()
        else:
            begun = self._begin_answer(exchange, head)
            if machine.keep_alive and head.dated and exchange.head.version == "HTTP/1.1":
                head.prepared = (exchange.edit, begun)
            out = begun + machine.body(body) + machine.finish()
        exchange.sent = len(body)
        exchange.phase = Phase.FINISHED
        self._channel.write(out)
        self._end_exchange(exchange)

    def send_body(self, data: bytes) -> None:
        """Send a piece of the body."""
        exchange = self._exchange
        if exchange is not None:
            exchange.sent += len(data)
            self._out.append(data if self._switched else self._machine.body(data))

    def flush(self) -> None:
        """Write what waits, small pieces in one."""
        out = self._out
        if not out:
            return
        self._out = []
        if len(out) == 1:
            self._channel.write(out[0])
            return
        joined = b""
        for piece in out:
            if len(joined) + len(piece) > _JOIN and joined:
                self._channel.write(joined)
                joined = piece
            else:
                joined += piece
        self._channel.write(joined)

    def end(self, trailers: bytes) -> None:
        """End the answer."""
        exchange = self._exchange
        if exchange is None:
            return
        unread = False
        if not self._switched:
            unread = self._machine.reading in (Reading.LENGTH, Reading.CHUNKED)
            self._out.append(self._machine.finish(trailers))
        self.flush()
        exchange.phase = Phase.FINISHED
        if unread:
            self._linger()
        self._end_exchange(exchange)

    def abort(self) -> None:
        """Cut the answer short, visibly: no last chunk, no close_notify, a reset if need be."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        delimited = self._machine.framing in (Framing.LENGTH, Framing.CHUNKED)
        self.flush()
        self._machine.close()
        exchange.consumer = None
        self._service.finish(exchange, monotonic())
        if delimited or self._switched:
            self._channel.cut()
        else:
            self._channel.reset()

    def switch(self, exchange: Exchange, head: ResponseHead) -> None:
        """Send 101, and from now on hand bytes on as they come."""
        fields = exchange.edit.apply(head.block)
        self._out.append(
            self._machine.interim(
                ResponseHead(
                    101,
                    head.reason,
                    b"%bConnection: Upgrade\r\n"
                    b"Upgrade: %b\r\n" % (fields, head.upgrade.encode("latin-1")),
                )
            )
        )
        self.flush()
        exchange.status = 101
        exchange.phase = Phase.ANSWERED
        self._switched = True
        self._channel.deadline = math.inf
        rest = self._machine.take_rest()
        if rest:
            self._take_raw(rest)

    def pause_body(self) -> None:
        """Stop reading from the client."""
        self._channel.pause_reading()

    def resume_body(self) -> None:
        """Read from the client again."""
        self._channel.resume_reading()

    # What the worker asks.

    @property
    def idle(self) -> bool:
        """True while no exchange runs."""
        return self._exchange is None

    def stop_soon(self) -> None:
        """The worker drains: close now if idle, else after the running answer."""
        if self._exchange is None:
            self._channel.close()
        elif not self._switched:
            self._machine.keep_alive = False

    def close(self) -> None:
        """Close at once."""
        self._leave()
        self._channel.close()
