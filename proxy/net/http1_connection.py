"""A client's HTTP/1.1 connection: turns its bytes into exchanges, one after the other.

The machine in `wire` reads and writes the protocol; this session moves bytes and keeps the
client's deadlines. While an exchange runs, its consumer is told of the body, of back-pressure and
of the client's leaving.
"""

import math

from proxy.clock import monotonic
from proxy.errors import BadRequestError, ProxyError
from proxy.exchange.exchange import Client, Exchange
from proxy.exchange.phases import Phase
from proxy.message.head import RequestHead
from proxy.net.body_watch import BodyWatch
from proxy.net.channel import Channel
from proxy.net.http1_answering import Http1Answering
from proxy.net.service import Service
from proxy.wire.events import PAUSED, MessageEnd
from proxy.wire.http1_server import Reading

_PIPELINED = 64 * 1024  # bytes of further requests taken in before their sender is stopped
_LINGER = 2.0  # seconds in which a client may still send what will not be read
_SETTLE = 3.0  # seconds after which a connection is taken to idle for long
_LAST_CALL = 1.0  # seconds that a draining worker waits for a request that is on its way


class Http1Connection(Http1Answering):
    """See the module's docstring. Implements `channel.Session` and `exchange.ClientStream`."""

    __slots__ = ("_advancing", "_idle", "_lingering", "_refusal", "_settled", "_watch", "client")

    def __init__(
        self, channel: Channel, service: Service, client: Client, refusal: ProxyError | None = None
    ) -> None:
        """Begin with a channel that is ready.

        Args:
            channel: To the client.
            service: Serves exchanges.
            client: Who it is.
            refusal: What to answer the first request, instead of serving it.
        """
        super().__init__(channel, service)
        self.client = client
        self._refusal = refusal
        self._advancing = False
        self._lingering = False
        self._idle = False  # between two requests
        self._settled = False  # and for some time
        self._watch: BodyWatch | None = None
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
        exchange = self._exchange
        if exchange is not None and not self._switched:
            self._leave()
        elif exchange is not None and exchange.consumer is not None:
            exchange.consumer.body_ended(b"")
        else:
            self._channel.close()

    def pause_writing(self) -> None:
        """Pass the client's back-pressure on."""
        if self._exchange is not None and self._exchange.consumer is not None:
            self._exchange.consumer.client_full()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._exchange is None:
            if not self._lingering:
                self._channel.resume_reading()
                self._advance()
        elif self._exchange.consumer is not None:
            self._exchange.consumer.client_ready()

    def channel_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the face's signature
        """The connection is gone: so is whatever was being done for it."""
        self._leave()
        self._machine.close()
        self._out.clear()
        self._service.connection_ended(self)

    def deadline_passed(self, now: float) -> bool:
        """The client took too long; say so where it is in the middle of something."""
        machine = self._machine
        if self._exchange is None or self._lingering:
            if self._channel.writing_paused and not self._lingering:
                # It still reads; whether fast enough is another rule's business.
                self._channel.deadline = now + self._service.timeouts.keep_alive
                return False
            if not self._lingering and machine.buffered:
                self._refuse(BadRequestError("no whole head in time", status=408))
                return True
            keep_alive = self._service.timeouts.keep_alive
            if self._idle and not self._settled and not self._lingering and keep_alive > _SETTLE:
                self._settled = True
                machine.forget()
                if not self._service.draining:
                    self._channel.deadline = now + keep_alive - _SETTLE
                    return False
            self._channel.close()
            return False
        if machine.reading not in (Reading.LENGTH, Reading.CHUNKED):
            return False
        if self._channel.reading_paused:  # it is we who do not read
            self._channel.deadline = now + self._service.timeouts.body_idle
            return False
        self._refuse(BadRequestError("the body stalled", status=408))
        return True

    # Reading.

    def _advance(self) -> None:
        """Tell everything the machine knows; not re-entered when an answer ends meanwhile."""
        if self._advancing:
            return
        self._advancing = True
        channel = self._channel
        try:
            while True:
                if channel.writing_paused and self._exchange is None:
                    # Answers to further requests would only pile up; `resume_writing` goes on.
                    channel.pause_reading()
                    return
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
                        channel.pause_reading()
                    break
        except BadRequestError as error:
            self._refuse(error)
        finally:
            self._advancing = False
        if self._idle and self._exchange is None and self._machine.buffered:
            self._idle = False
            channel.deadline = monotonic() + self._service.timeouts.request_header

    def _begin(self, head: RequestHead) -> None:
        service = self._service
        now = monotonic()
        exchange = self._exchange = service.begin(self, self.client, head, now)
        self._idle = False
        if head.has_body:
            self._channel.deadline = now + service.timeouts.body_idle
            self._watch = BodyWatch(now)
        else:
            self._channel.deadline = math.inf
        if service.draining:
            self._machine.keep_alive = False
        if self._refusal is not None:
            self._refuse(self._refusal)
        else:
            service.serve(exchange)

    def _take_body(self, data: bytes) -> None:
        exchange, watch = self._exchange, self._watch
        if exchange is None or watch is None:
            return
        now = monotonic()
        timeouts = self._service.timeouts
        self._channel.deadline = now + timeouts.body_idle
        watch.received(exchange, len(data), now, timeouts.min_rate)
        if exchange.consumer is not None:
            exchange.consumer.body_received(data)

    def _end_body(self, end: MessageEnd) -> None:
        exchange = self._exchange
        self._watch = None
        if exchange is not None:
            self._channel.deadline = math.inf
            if exchange.consumer is not None:
                exchange.consumer.body_ended(end.trailers)

    def _take_raw(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.consumer is not None:
            exchange.received += len(data)
            exchange.consumer.body_received(data)

    def resume_body(self, exchange: Exchange) -> None:
        """Read from the client again; the time in which we did not was none of its slowness."""
        if exchange is self._exchange and self._channel.reading_paused:
            if self._watch is not None:
                self._watch.restart(exchange, monotonic())
            self._channel.resume_reading()

    # Ending.

    def _refuse(self, error: ProxyError) -> None:
        """Answer an error that is found while reading, and read nothing more."""
        exchange = self._exchange
        if exchange is None:
            head = RequestHead("", "", "HTTP/1.1")
            exchange = self._service.begin(self, self.client, head, monotonic())
            self._exchange = exchange
        self._service.refuse(exchange, error)

    def _leave(self) -> None:
        """The client is gone: stop what is done for it."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._service.leave(exchange, monotonic())
            self._channel.close()

    def _answered(self, exchange: Exchange, *, unread: bool) -> None:
        """The answer is out: go on with the next request, or close."""
        now = monotonic()
        self._exchange = None
        self._watch = None
        self._service.finish(exchange, now)
        machine = self._machine
        channel = self._channel
        if machine.reading is Reading.HEAD:
            self._idle = True
            self._settled = False
            # Twice: after a moment to let go of what an idle connection need not remember, and
            # after the rest of its time to close it.
            channel.deadline = now + min(_SETTLE, self._service.timeouts.keep_alive)
            if channel.reading_paused:
                channel.resume_reading()
            if machine.buffered and not self._advancing:
                self._advance()
        elif unread:
            self._linger(now)
        else:
            channel.close()

    def _linger(self, now: float) -> None:
        """Close our side first, so that what the client still sends does not destroy our answer.

        A socket closed with unread bytes sends a reset, and the client may never see the answer
        (RFC 9112, 9.6).
        """
        self._lingering = True
        self._channel.resume_reading()
        self._channel.write_eof()
        self._channel.deadline = now + _LINGER

    def _aborted(self, exchange: Exchange) -> None:
        self._exchange = None
        self._service.finish(exchange, monotonic())

    def _upgraded(self, exchange: Exchange, rest: bytes) -> None:
        exchange.status = 101
        self._channel.deadline = math.inf
        if rest:
            self._take_raw(rest)

    # What the worker asks.

    def stop_soon(self) -> None:
        """The worker drains: close after the running answer, or if no further request comes.

        A request may be on its way already, so an idle connection is given a moment, and a new
        one the time that its first request has anyway; both are told of the end by their answer.
        """
        if self._exchange is None:
            if self._idle and not self._machine.buffered:
                channel = self._channel
                channel.deadline = min(channel.deadline, monotonic() + _LAST_CALL)
        elif not self._switched and self._exchange.phase < Phase.ANSWERED:
            self._machine.keep_alive = False

    def close(self) -> None:
        """Close at once."""
        self._leave()
        self._channel.close()
