"""One request's way to an upstream and its answer's way back.

A relay is the consumer of an exchange and the holder of an upstream connection. Bodies flow
through it in callbacks; whoever is full stops the other's reading, and between a slow client and
an application server stands a spool (see `net.spool`): the request is given to the server when it
is whole, its answer is taken off its hands as fast as it gives it.
"""

from typing import Protocol

from proxy.clock import monotonic
from proxy.errors import ProxyError, UpstreamError
from proxy.exchange.exchange import Exchange
from proxy.exchange.phases import Phase
from proxy.message.fields import field_values
from proxy.message.head import ResponseHead
from proxy.net.pool import LivePool
from proxy.net.spool import MEMORY, Spool, SpoolError
from proxy.net.tunnel import Tunnel
from proxy.net.upstream_connection import UpstreamConnection
from proxy.routing.route import ProxyPlan
from proxy.upstream.peer import Peer
from proxy.upstream.retry import Failure, Retry, after
from proxy.wire.http1_body import chunk, last_chunk

_SPOOLED = 1024 * 1024 * 1024  # most bytes of an answer that wait for a slow client (as nginx)
_CONTINUE = ResponseHead(100, "Continue")


class Hop(Protocol):
    """What a route's way to its upstream is made of."""

    pool: LivePool
    plan: ProxyPlan

    def request_head(self, exchange: Exchange, length: int | None) -> bytes:
        """Return the head to send; with `length` None the body's framing is the client's own."""

    def fail(self, exchange: Exchange, error: ProxyError) -> None:
        """Answer an error."""


class Relay:
    """See the module's docstring. Implements `Consumer`, `Holder` and `Waiter`.

    Attributes:
        exchange: The request.
        tried: Peers that could not be reached.
        wait_until: See `pool.Waiter`.
    """

    __slots__ = (
        "_answer",
        "_answer_ended",
        "_body",
        "_body_ended",
        "_buffered",
        "_connection",
        "_full",
        "_hop",
        "_peer",
        "_retries",
        "_sent_body",
        "_spooling",
        "_started",
        "_trailers",
        "exchange",
        "tried",
        "wait_until",
    )

    def __init__(self, hop: Hop, exchange: Exchange) -> None:
        self._hop = hop
        self.exchange = exchange
        self.tried: list[Peer] = []
        self.wait_until = 0.0
        self._connection: UpstreamConnection | None = None
        self._peer: Peer | None = None
        self._retries = 0
        self._body: Spool | None = None
        self._body_ended = True
        self._buffered = False
        self._sent_body = False
        self._trailers = b""
        self._answer: Spool | None = None
        self._answer_ended = False
        self._spooling = False
        self._full = False
        self._started = 0.0

    def start(self) -> None:
        """Begin: at once, or when the request's body is whole."""
        exchange = self.exchange
        exchange.consumer = self
        exchange.phase = Phase.QUEUED
        head = exchange.head
        pool = self._hop.pool
        if head.has_body:
            self._body_ended = False
            self._buffered = pool.plan.request_buffering != "off"
            self._body = Spool(keep=self._buffered)
            if head.expect_continue:
                exchange.stream.send_interim(exchange, _CONTINUE)
                exchange.stream.flush()
            if self._buffered:
                return
        pool.ask(self)

    # The pool's word.

    def connected(self, connection: UpstreamConnection) -> None:
        """Send the request, or as much of it as there is."""
        exchange = self.exchange
        if exchange.consumer is not self:  # the client left while it was being opened
            self._hop.pool.release(connection)
            return
        now = monotonic()
        if exchange.connect_time < 0:
            exchange.connect_time = now - exchange.started
        self._started = now
        self._connection = connection
        self._peer = peer = connection.peer
        exchange.upstream = peer.label
        exchange.phase = Phase.SENT
        exchange.tries += 1
        head = exchange.head
        connection.hold(self, head.method, upgrade=bool(head.upgrade))
        body = self._body
        if body is None:
            connection.write(self._hop.request_head(exchange, None))
            self._await_answer(connection)
            return
        if self._buffered and self._body_ended:
            body.rewind()
            connection.write(self._hop.request_head(exchange, body.total))
        else:
            connection.write(self._hop.request_head(exchange, None))
        self._pump_body()

    def _await_answer(self, connection: UpstreamConnection) -> None:
        plan = self._hop.plan
        connection.await_answer(plan.response_timeout, plan.idle_timeout)

    def not_connected(self, error: UpstreamError, peer: Peer | None) -> None:
        """Try another peer, or wait for one, or give up."""
        exchange = self.exchange
        if exchange.consumer is not self:
            return
        exchange.error = error
        if peer is None:
            self._fail(error)
            return
        exchange.upstream = peer.label
        exchange.tries += 1
        self.tried.append(peer)
        self._hop.pool.ask(self)

    # The request's body.

    def body_received(self, data: bytes) -> None:
        """Take a piece of the request's body."""
        connection = self._connection
        body = self._body
        if body is None:
            return
        if connection is not None and not self._buffered and not body.size:
            self._write_body(connection, data)
            if connection.writing_paused:
                self.exchange.stream.pause_body()
            return
        try:
            body.put(data)
        except SpoolError as error:
            self._stream_after_all(body, data, error)
            return
        if not self._buffered and body.size >= MEMORY:
            self.exchange.stream.pause_body()

    def _stream_after_all(self, body: Spool, data: bytes, error: SpoolError) -> None:
        """The disk is full: what is buffered and the rest go out as a stream; nothing is lost."""
        self.exchange.error = error
        self._buffered = False
        body.keep_in_memory(data)
        self.exchange.stream.pause_body()
        if self._connection is None:
            self._hop.pool.ask(self)

    def body_ended(self, trailers: bytes) -> None:
        """The request's body is whole."""
        self._body_ended = True
        self._trailers = trailers
        if self._buffered:
            self._hop.pool.ask(self)
        elif self._connection is not None:
            self._pump_body()

    def _write_body(self, connection: UpstreamConnection, data: bytes) -> None:
        self._sent_body = True
        if self.exchange.head.chunked and not self._buffered:
            data = chunk(data)
        connection.write(data)

    def _pump_body(self) -> None:
        """Send what waits of the body, as far as the upstream takes it."""
        connection, body = self._connection, self._body
        if connection is None or body is None:
            return
        while body.size and not connection.writing_paused:
            self._write_body(connection, body.take())
        if body.size or connection.writing_paused:
            return
        if not self._body_ended:
            self.exchange.stream.resume_body()
            return
        if self.exchange.head.chunked and not self._buffered:
            connection.write(last_chunk(self._trailers))
        self._await_answer(connection)
        if not self._buffered:
            self._body = None

    def upstream_full(self) -> None:
        """The upstream reads slowly: the pump, or the client, waits."""
        if not self._body_ended and not self._buffered:
            self.exchange.stream.pause_body()

    def upstream_ready(self) -> None:
        """The upstream has caught up."""
        self._pump_body()

    # The answer.

    def answer_whole(self, head: ResponseHead, body: bytes) -> None:
        """Pass a whole answer on."""
        exchange = self.exchange
        exchange.response_time = monotonic() - self._started
        self._connection = None
        self._close_spools()
        exchange.stream.send_whole(exchange, head, body)

    def answer_interim(self, head: ResponseHead) -> None:
        """Pass a 1xx head on; 100 was ours to send."""
        if head.status != 100:
            self.exchange.stream.send_interim(self.exchange, head)

    def answer_head(self, head: ResponseHead) -> None:
        """Pass the head on, and decide what happens if the client is slow."""
        exchange = self.exchange
        exchange.response_time = monotonic() - self._started
        connection = self._connection
        if head.status == 101 and connection is not None:
            self._switch(connection, head)
            return
        self._spooling = not head.streaming and self._hop.pool.plan.response_buffering != "off"
        exchange.stream.send_head(exchange, head)

    def _switch(self, connection: UpstreamConnection, head: ResponseHead) -> None:
        exchange = self.exchange
        self._connection = None
        self._close_spools()
        tunnel = Tunnel(exchange, connection, self._hop.plan.websocket_idle)
        exchange.consumer = tunnel
        connection.hand_over(tunnel)
        exchange.stream.switch(exchange, head)

    def answer_body(self, data: bytes) -> None:
        """Pass a piece of the body on, or keep it while the client is slow."""
        answer = self._answer
        if answer is None:
            self.exchange.stream.send_body(data)
            return
        try:
            answer.put(data)
        except SpoolError as error:  # the disk is full: the upstream has to wait instead
            self.exchange.error = error
            self._spooling = False
            answer.keep_in_memory(data)
        if self._connection is not None and (not self._spooling or answer.size > _SPOOLED):
            self._connection.pause_reading()

    def answer_turn(self) -> None:
        """Put on the wire what one read brought."""
        self.exchange.stream.flush()

    def answer_end(self, trailers: bytes) -> None:
        """The answer is whole; it ends for the client when the client has it all."""
        self._connection = None
        self._trailers = trailers
        self._answer_ended = True
        if self._answer is None:
            self._finish()
        else:
            self._drain()

    def _finish(self) -> None:
        self._close_spools()
        self.exchange.stream.end(self._trailers)

    def client_full(self) -> None:
        """The client is slow: keep its answer for it, or stop the upstream."""
        self._full = True
        if self._answer is None and not self._answer_ended:
            self._answer = Spool()
        if not self._spooling and self._connection is not None:
            self._connection.pause_reading()

    def client_ready(self) -> None:
        """The client has caught up: give it what was kept."""
        self._full = False
        self._drain()

    def _drain(self) -> None:
        answer = self._answer
        stream = self.exchange.stream
        if answer is None:
            return
        while answer.size and not self._full:
            stream.send_body(answer.take())
            stream.flush()
        if self._full or self.exchange.consumer is not self:
            return
        answer.close()
        self._answer = None
        if self._answer_ended:
            self._finish()
        elif self._connection is not None:
            self._connection.resume_reading()

    # Trouble.

    def answer_lost(self, error: ProxyError) -> None:
        """The connection is gone: try again where that is allowed, else tell the client."""
        exchange = self.exchange
        connection, self._connection = self._connection, None
        if connection is None or exchange.consumer is not self:
            return
        exchange.error = error
        if exchange.phase >= Phase.ANSWERED:
            self._close_spools()
            exchange.stream.abort()
            return
        ended = error.status != 504
        failure = Failure(
            method=exchange.head.method,
            has_idempotency_key=bool(field_values(exchange.head.block, "idempotency-key")),
            sent=True,
            unapplied=error.retry,
            replayable=not self._sent_body or (self._buffered and self._body is not None),
            answered=connection.answer_began,
            ended=ended,
            reused=connection.used > 0,
            retries=self._retries,
        )
        peer = connection.peer
        decision = after(failure, self._hop.pool.plan.retries)
        if decision is not Retry.SAME_FRESH:
            self._hop.pool.group.failed(peer, monotonic())
        if decision is Retry.SAME_FRESH:
            self._hop.pool.ask(self, fresh=True, peer=peer)
        elif decision is Retry.OTHER:
            self._retries += 1
            self.tried.append(peer)
            self._hop.pool.ask(self)
        else:
            self._fail(error)

    def _fail(self, error: ProxyError) -> None:
        self._close_spools()
        self._hop.fail(self.exchange, error)

    def client_gone(self) -> None:
        """Stop everything that is done for a client that left."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._hop.pool.give_up(connection)
        else:
            self._hop.pool.forget(self)
        self._close_spools()

    def _close_spools(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
        if self._answer is not None:
            self._answer.close()
            self._answer = None
